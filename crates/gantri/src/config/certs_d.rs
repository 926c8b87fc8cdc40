//! docker's and containers' `certs.d`: a directory for each host, in which `*.crt` are authorities to trust beside the
//! system's, and `*.cert` with `*.key` of the same name are who we are. Names only; what the files hold is read when the host
//! is connected to.
//!
//! Of several directories the first that knows the host is taken, alone, as containers does.

use std::path::{Path, PathBuf};

use gantri_core::{Error, ErrorKind, Result};
use gantri_remote::{Pem, Tls};
use gantri_spec::Host;

use super::document::{self, Said, Told};

/// The files with which a host is spoken to.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Certificates {
    /// Authorities to trust beside the system's (PEM).
    pub roots: Vec<Told<PathBuf>>,
    /// Who we are: certificate and key (PEM).
    pub clients: Vec<Told<ClientCertificate>>,
}

/// A certificate to show to a host, and its key; both may stand in one file.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct ClientCertificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificates {
    /// TLS with them; the files are read now. Of several client certificates the first is shown.
    ///
    /// # Errors
    /// `Config`, naming the file, if one can't be read or holds something else.
    pub(crate) fn tls(&self) -> Result<Tls> {
        let mut tls = Tls::default();
        for root in &self.roots {
            tls = tls.roots(&pem(&root.value)?)?;
        }
        if let Some(Told { value: client, .. }) = self.clients.first() {
            tls = tls.identity(&pem(&client.certificate)?, &pem(&client.key)?)?;
        }
        Ok(tls)
    }
}

fn pem(path: &Path) -> Result<Pem> {
    let missing = || Error::new(ErrorKind::Config, format!("read {}: no such file", path.display()));
    let hint = "put it there, or name another in the configuration; `gantri explain` says who names it";
    let bytes = document::bytes(path)?.ok_or_else(|| missing().with_hint(hint))?;
    Ok(Pem::new(path.display().to_string(), bytes.to_vec()))
}

/// What the first of these directories that has one for the host says.
///
/// # Errors
/// `Config` if a directory can't be read, or a certificate or key stands there without the other.
pub(super) fn of_host(dirs: &[PathBuf], host: &Host) -> Result<Certificates> {
    for dir in dirs {
        if let Some(found) = in_dir(&dir.join(host.as_str()))? {
            return Ok(found);
        }
    }
    Ok(Certificates::default())
}

/// What a host's own directory says; `None` if there is no such directory.
///
/// # Errors
/// As [`of_host`].
pub(super) fn in_dir(dir: &Path) -> Result<Option<Certificates>> {
    let unread = |error| Error::new(ErrorKind::Config, format!("read {}", dir.display())).with_source(error);
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(unread(error)),
    };
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>().map_err(unread)?;
    files.sort();
    let mut found = Certificates::default();
    for file in &files {
        let Some(extension) = file.extension().and_then(|extension| extension.to_str()) else { continue };
        let partner = |extension| file.with_extension(extension);
        match extension {
            "crt" => found.roots.push(Told::new(file.clone(), Said::by(file))),
            "cert" if files.contains(&partner("key")) => {
                let client = ClientCertificate { certificate: file.clone(), key: partner("key") };
                found.clients.push(Told::new(client, Said::by(file)));
            }
            "cert" => {
                let what = format!("{}: a client certificate without its key", file.display());
                let hint = format!("add {}; authorities are called *.crt", partner("key").display());
                return Err(Error::new(ErrorKind::Config, what).with_hint(hint));
            }
            "key" if !files.contains(&partner("cert")) => {
                let what = format!("{}: a key without its client certificate", file.display());
                let hint = format!("add {}", partner("cert").display());
                return Err(Error::new(ErrorKind::Config, what).with_hint(hint));
            }
            _ => {}
        }
    }
    Ok(Some(found))
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}
