//! Certificates made for one run, and what is wrong with some of them.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::mode::TlsMode;

/// An authority of its own, and the certificates that it gave.
#[derive(Debug)]
pub struct Certificates {
    authority: String,
    good: Arc<ServerConfig>,
    wrong_name: Arc<ServerConfig>,
    expired: Arc<ServerConfig>,
    self_signed: Arc<ServerConfig>,
}

impl Certificates {
    /// Certificates for these names and addresses.
    ///
    /// # Panics
    /// If they can't be made.
    pub fn new(names: &[&str]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "gantri tests");
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let leaf =
            |names: &[&str]| CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        let signed = |params: CertificateParams| {
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, &authority).expect("a certificate");
            server(certificate.der().clone(), &key)
        };
        let mut expired = leaf(names).expect("names");
        expired.not_before = date_time_ymd(2001, 1, 1);
        expired.not_after = date_time_ymd(2001, 2, 1);
        let key = KeyPair::generate().expect("a key");
        let alone = leaf(names).expect("names").self_signed(&key).expect("a certificate");
        Self {
            good: signed(leaf(names).expect("names")),
            wrong_name: signed(leaf(&["somebody.else.test"]).expect("a name")),
            expired: signed(expired),
            self_signed: server(alone.der().clone(), &key),
            authority: authority.pem(),
        }
    }

    /// The authority's own certificate: whoever trusts it, trusts the good one.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What a connection is served with.
    pub(super) fn served(&self, mode: Option<TlsMode>) -> Arc<ServerConfig> {
        Arc::clone(match mode {
            Some(TlsMode::WrongName) => &self.wrong_name,
            Some(TlsMode::Expired) => &self.expired,
            Some(TlsMode::SelfSigned) => &self.self_signed,
            Some(TlsMode::CutInHandshake | TlsMode::PlainHttp) | None => &self.good,
        })
    }
}

fn server(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("the key just made");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions that the provider has")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate and its key");
    Arc::new(config)
}
