//! TLS settings, made when the first https connection is: loading the system's roots costs more than a small pull from a
//! loopback registry takes.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::BuilderVerifierExt;

use super::{SendError, SendErrorKind};

/// Settings that are not there before somebody asks.
#[derive(Default)]
pub(super) struct LazyTls(Mutex<Option<ClientConfig>>);

impl LazyTls {
    /// The settings, without protocols for ALPN: those are the connector's to add.
    ///
    /// # Errors
    /// `Tls` if the system's roots can't be read. A bad configuration is never replaced by a weaker one.
    pub(super) fn config(&self) -> Result<ClientConfig, SendError> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = &*made {
            return Ok(config.clone());
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map_err(|error| SendError::new(SendErrorKind::Tls).with_source(error))?
            .with_no_client_auth();
        Ok(made.insert(config).clone())
    }
}
