//! Host to registry, each made once: clones of a [`Remote`] share connections, tokens and the pauses that a host asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gantri_core::{Limits, Result};
use gantri_remote::{Credential, Credentials, PlainHttp, Remote};
use gantri_spec::Host;

/// The registries that a client speaks to.
#[derive(Debug)]
pub(crate) struct Registries {
    settings: Settings,
    remotes: Mutex<HashMap<Host, Remote>>,
}

/// What every registry is made with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) credentials: Arc<dyn Credentials>,
    pub(crate) plain_http: PlainHttp,
    pub(crate) limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self { credentials: Arc::new(Credential::Anonymous), plain_http: PlainHttp::Auto, limits: Limits::default() }
    }
}

impl Registries {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, remotes: Mutex::default() }
    }

    /// The registry at `host`. Sends nothing.
    ///
    /// # Errors
    /// `Config` if it can't be set up.
    pub(crate) fn at(&self, host: &Host) -> Result<Remote> {
        let mut remotes = self.remotes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(remote) = remotes.get(host) {
            return Ok(remote.clone());
        }
        let remote = Remote::builder(host.clone())
            .credentials(Arc::clone(&self.settings.credentials))
            .plain_http(self.settings.plain_http)
            .limits(self.settings.limits.clone())
            .build()?;
        remotes.insert(host.clone(), remote.clone());
        Ok(remote)
    }
}
