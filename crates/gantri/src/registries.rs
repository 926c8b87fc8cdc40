//! Host to registry, each made once: who asks again shares connections, tokens and the pauses that a host asked for, and can
//! tell that two places are in one registry, where blobs are mounted and not sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gantri_core::{Limits, Registry, Result};
use gantri_remote::{Credential, Credentials, Dial, PlainHttp, Remote, Resolve, UploadSessions};
use gantri_spec::Host;

/// The registries that a client speaks to.
#[derive(Debug)]
pub(crate) struct Registries {
    settings: Settings,
    remotes: Mutex<HashMap<Host, Arc<dyn Registry>>>,
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
    /// `None` is the system's.
    pub(crate) resolver: Option<Arc<dyn Resolve>>,
    /// `None` is TCP.
    pub(crate) dialer: Option<Arc<dyn Dial>>,
    pub(crate) upload_sessions: Option<Arc<dyn UploadSessions>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            credentials: Arc::new(Credential::Anonymous),
            plain_http: PlainHttp::Auto,
            limits: Limits::default(),
            user_agent: None,
            page_size: None,
            resolver: None,
            dialer: None,
            upload_sessions: None,
        }
    }
}

impl Registries {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, remotes: Mutex::default() }
    }

    /// The registry at `host`: the same value for the same host. Sends nothing.
    ///
    /// # Errors
    /// `Config` if it can't be set up.
    pub(crate) fn at(&self, host: &Host) -> Result<Arc<dyn Registry>> {
        let mut remotes = self.remotes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(remote) = remotes.get(host) {
            return Ok(Arc::clone(remote));
        }
        let remote: Arc<dyn Registry> = Arc::new(self.settings.remote(host)?);
        remotes.insert(host.clone(), Arc::clone(&remote));
        Ok(remote)
    }

    /// The registry at `host` for somebody else, who shares nothing with the client.
    ///
    /// # Errors
    /// `Config` if it can't be set up.
    pub(crate) fn as_another(&self, host: &Host, credentials: Arc<dyn Credentials>) -> Result<Remote> {
        Settings { credentials, ..self.settings.clone() }.remote(host)
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
            .page_size(self.page_size);
        if let Some(user_agent) = &self.user_agent {
            remote = remote.user_agent(user_agent.clone());
        }
        if let Some(resolver) = &self.resolver {
            remote = remote.resolver(Arc::clone(resolver));
        }
        if let Some(dialer) = &self.dialer {
            remote = remote.dialer(Arc::clone(dialer));
        }
        if let Some(sessions) = &self.upload_sessions {
            remote = remote.upload_sessions(Arc::clone(sessions));
        }
        remote.build()
    }
}
