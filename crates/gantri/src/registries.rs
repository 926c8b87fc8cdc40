//! Host to registry, each made once: who asks again shares connections, tokens and the pauses that a host asked for, and can
//! tell that two places are in one registry, where blobs are mounted and not sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gantri_core::{Limits, NoObserver, Observer, Registry, Result};
use gantri_remote::{Credential, Credentials, PlainHttp, Remote, Throttle};
use gantri_spec::Host;

/// The registries that a client speaks to.
#[derive(Debug)]
pub(crate) struct Registries {
    settings: Settings,
    remotes: Mutex<HashMap<Host, Known>>,
}

/// A registry as what it is, and as what jobs know.
#[derive(Clone, Debug)]
struct Known {
    remote: Remote,
    registry: Arc<dyn Registry>,
}

/// What every registry is made with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) credentials: Arc<dyn Credentials>,
    pub(crate) plain_http: PlainHttp,
    pub(crate) limits: Limits,
    /// `None` is the library's own.
    pub(crate) user_agent: Option<String>,
    pub(crate) page_size: Option<u32>,
    /// Shared by all of them, and by whoever else was given it. `None` is one of their own.
    pub(crate) throttle: Option<Throttle>,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            credentials: Arc::new(Credential::Anonymous),
            plain_http: PlainHttp::Auto,
            limits: Limits::default(),
            user_agent: None,
            page_size: None,
            throttle: None,
            observer: Arc::new(NoObserver),
        }
    }
}

impl Registries {
    pub(crate) fn new(mut settings: Settings) -> Self {
        settings.throttle.get_or_insert_with(|| Throttle::new(&settings.limits));
        Self { settings, remotes: Mutex::default() }
    }

    /// The registry at `host`: the same value for the same host. Sends nothing.
    ///
    /// # Errors
    /// `Config` if it can't be set up.
    pub(crate) fn at(&self, host: &Host) -> Result<Arc<dyn Registry>> {
        let mut remotes = self.remotes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = remotes.get(host) {
            return Ok(Arc::clone(&known.registry));
        }
        let remote = self.settings.remote(host)?;
        let registry: Arc<dyn Registry> = Arc::new(remote.clone());
        remotes.insert(host.clone(), Known { remote, registry: Arc::clone(&registry) });
        Ok(registry)
    }

    /// Every registry that was asked for so far.
    pub(crate) fn remotes(&self) -> Vec<Remote> {
        let remotes = self.remotes.lock().unwrap_or_else(PoisonError::into_inner);
        remotes.values().map(|known| known.remote.clone()).collect()
    }

    /// The registry at `host`, if it was asked for.
    pub(crate) fn known(&self, host: &Host) -> Option<Remote> {
        let remotes = self.remotes.lock().unwrap_or_else(PoisonError::into_inner);
        remotes.get(host).map(|known| known.remote.clone())
    }
}

impl Settings {
    /// A registry of these settings.
    ///
    /// # Errors
    /// `Config` if it can't be set up.
    pub(crate) fn remote(&self, host: &Host) -> Result<Remote> {
        let mut remote = Remote::builder(host.clone())
            .credentials(Arc::clone(&self.credentials))
            .plain_http(self.plain_http)
            .limits(self.limits.clone())
            .page_size(self.page_size)
            .observer(Arc::clone(&self.observer));
        if let Some(throttle) = &self.throttle {
            remote = remote.throttle(throttle.clone());
        }
        if let Some(user_agent) = &self.user_agent {
            remote = remote.user_agent(user_agent.clone());
        }
        remote.build()
    }
}
