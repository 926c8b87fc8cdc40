//! The variables that say where configuration lies. They are the process's own, or given: whoever embeds the library need
//! not have its environment looked at, and a test needs none.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use gantri_core::Result;
use gantri_remote::Proxies;
use tokio::process::Command;

/// Variables by name. One that is empty counts as not set.
#[derive(Clone, Default)]
pub struct Environment {
    /// `None`: the process's, as they are when they are asked for.
    given: Option<Arc<BTreeMap<OsString, OsString>>>,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self::default()
    }

    /// These variables and no others.
    pub fn of(variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { given: Some(Arc::new(variables)) }
    }

    /// What a variable says.
    pub(super) fn value(&self, name: &str) -> Option<OsString> {
        let value = match &self.given {
            Some(given) => given.get(name.as_ref() as &std::ffi::OsStr).cloned(),
            None => of_process(name),
        };
        value.filter(|value| !value.is_empty())
    }

    /// The path that a variable names.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.value(name).map(PathBuf::from)
    }

    /// The proxies that it names: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, also in lower case.
    ///
    /// # Errors
    /// `Config`, naming the variable, if one can't be understood.
    pub fn proxies(&self) -> Result<Proxies> {
        Proxies::from_variables(|name| self.value(name)?.into_string().ok())
    }

    /// Gives a program this environment, without the variables that hold secrets (A16).
    pub(super) fn hand_to(&self, program: &mut Command, secret: &[&str]) {
        if let Some(given) = &self.given {
            program.env_clear().envs(given.iter());
        }
        for name in secret {
            program.env_remove(name);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this file is where the environment is asked for configuration")]
fn of_process(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// What variables hold may be secret (A16).
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.given.is_some() { "Environment(given)" } else { "Environment(process)" })
    }
}
