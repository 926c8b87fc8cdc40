//! What the user says about TLS ([`Tls`]), and the settings made of it when the first https connection is: loading the
//! system's roots costs more than a small pull from a loopback registry takes.
//!
//! Roots hold wherever the registry leads, for its storage may stand behind the same private authority. Who the user is,
//! and that he checks nothing, is between him and the registry: it holds at its own origin alone.

mod any;
mod pem;
mod words;

use std::sync::{Arc, Mutex, PoisonError};

use gantri_core::Result;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_platform_verifier::Verifier;

use self::any::AnyCertificate;
pub use self::pem::Pem;
pub(super) use self::words::BadCertificate;
use super::{SendError, SendErrorKind};

/// Whom to trust, and who to be, in TLS. The default trusts the system's roots and is nobody.
///
/// ```no_run
/// use gantri_remote::{Pem, Remote, Tls};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ca = Pem::new("ca.crt", std::fs::read("ca.crt")?);
/// let tls = Tls::default().roots(&ca)?;
/// let remote = Remote::builder("registry.example:5000".parse()?).tls(tls).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tls {
    roots: Vec<CertificateDer<'static>>,
    without_system_roots: bool,
    identity: Option<Arc<CertifiedKey>>,
    accepts_any: bool,
}

impl Tls {
    /// Trusts these certificates as well: authorities, or a server's own that has signed itself. May be called again.
    ///
    /// # Errors
    /// `Config`, with the name of the file, if there is none in it, or one that is none.
    pub fn roots(mut self, from: &Pem) -> Result<Self> {
        let found = from.certificates()?;
        let mut store = RootCertStore::empty();
        for (at, certificate) in found.iter().enumerate() {
            store.add(certificate.clone()).map_err(|error| {
                from.fault(format_args!("certificate {} can't be trusted", at + 1)).with_source(error)
            })?;
        }
        self.roots.extend(found);
        Ok(self)
    }

    /// Trusts only what [`roots`](Self::roots) adds, wherever the registry leads.
    pub fn without_system_roots(mut self) -> Self {
        self.without_system_roots = true;
        self
    }

    /// Shows this certificate (and those that it is signed by) to the registry if it asks; never to anybody else. The key
    /// may be PKCS#8, SEC1 or PKCS#1, and stand in the same file. Called again, it replaces what was said before.
    ///
    /// # Errors
    /// `Config`, with the name of the file, if it holds no certificate or key, or if the two don't belong together.
    pub fn identity(mut self, certificate: &Pem, key: &Pem) -> Result<Self> {
        let chain = certificate.certificates()?;
        let key_file = key;
        let key = key.key()?;
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                key_file.fault(format_args!("the key is not the one of the certificate in {}", certificate.label()))
            }
            rustls::Error::InvalidCertificate(_) => {
                certificate.fault("the first certificate is none").with_source(error)
            }
            _ => key_file.fault("the key can't be used").with_source(error),
        })?;
        self.identity = Some(Arc::new(certified));
        Ok(self)
    }

    /// Accepts whatever certificate the registry shows: whoever is on the way can then read and change everything, the
    /// credentials included. Where the registry leads, certificates are checked all the same.
    pub fn danger_accept_any_certificate(mut self) -> Self {
        self.accepts_any = true;
        self
    }

    /// What of it holds at other origins, and for proxies.
    pub(super) fn elsewhere(&self) -> Self {
        Self { identity: None, accepts_any: false, ..self.clone() }
    }

    fn config(&self) -> std::result::Result<ClientConfig, rustls::Error> {
        let provider = provider();
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = builder.dangerous().with_custom_certificate_verifier(self.verifier(provider)?);
        Ok(match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(identity)))),
            None => builder.with_no_client_auth(),
        })
    }

    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> std::result::Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
        if self.accepts_any {
            return Ok(Arc::new(AnyCertificate::new(&provider)));
        }
        if !self.without_system_roots {
            return Ok(Arc::new(Verifier::new_with_extra_roots(self.roots.iter().cloned(), provider)?));
        }
        let mut store = RootCertStore::empty();
        for root in &self.roots {
            store.add(root.clone())?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider);
        Ok(verifier.build().map_err(|error| rustls::Error::General(format!("roots: {error}")))?)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Settings that are not there before somebody asks.
pub(super) struct LazyTls {
    told: Tls,
    made: Mutex<Option<ClientConfig>>,
}

impl LazyTls {
    pub(super) fn new(told: Tls) -> Self {
        Self { told, made: Mutex::default() }
    }

    /// The settings, without protocols for ALPN: those are the connector's to add.
    ///
    /// # Errors
    /// `Tls` if the system's roots can't be read. A bad configuration is never replaced by a weaker one.
    pub(super) fn config(&self) -> std::result::Result<ClientConfig, SendError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = &*made {
            return Ok(config.clone());
        }
        let config = self.told.config().map_err(|error| SendError::new(SendErrorKind::Tls).with_source(error))?;
        Ok(made.insert(config).clone())
    }
}

#[cfg(test)]
mod tests;
