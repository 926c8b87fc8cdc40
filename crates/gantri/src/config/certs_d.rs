//! docker's and containers' `certs.d`: a directory for each host, in which `*.crt` are authorities to trust beside the
//! system's, and `*.cert` with `*.key` of the same name are who we are. Names only; what the files hold is read when the host
//! is connected to.
//!
//! Of several directories the first that knows the host is taken, alone, as containers does. So it does, too, with those that
//! may not be looked into: `/etc/docker` is often root's own.

use std::io;
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

/// Directories in which hosts are looked for.
#[derive(Clone, Debug)]
pub(super) enum CertDirs {
    /// Those that are looked into where nobody names one, of which some may be other users'.
    Usual(Vec<PathBuf>),
    /// The one that somebody has named.
    Named(PathBuf),
}

/// None at all.
impl Default for CertDirs {
    fn default() -> Self {
        Self::Usual(Vec::new())
    }
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
    let mut bytes = document::bytes(path)?.ok_or_else(|| missing().with_hint(hint))?;
    // The memory itself, which it wipes, and no copy that nobody does.
    Ok(Pem::new(path.display().to_string(), std::mem::take(&mut *bytes)))
}

/// What the first of these directories that has one for the host says.
///
/// # Errors
/// `Config` if a directory can't be read that is not just closed to us, or that was named; or if a certificate or key stands
/// there without the other.
pub(super) fn of_host(dirs: &CertDirs, host: &Host) -> Result<Certificates> {
    first(dirs, host, files)
}

fn first(
    dirs: &CertDirs,
    host: &Host,
    files: impl Fn(&Path) -> io::Result<Option<Vec<PathBuf>>>,
) -> Result<Certificates> {
    let (dirs, are_usual) = match dirs {
        CertDirs::Usual(dirs) => (dirs.as_slice(), true),
        CertDirs::Named(dir) => (std::slice::from_ref(dir), false),
    };
    for dir in dirs {
        let dir = dir.join(host.as_str());
        match files(&dir) {
            Ok(Some(files)) => return understood(&files),
            Ok(None) => {}
            Err(error) if are_usual && error.kind() == io::ErrorKind::PermissionDenied => {
                tracing::debug!(dir = %dir.display(), "certificates that are not for us are passed over");
            }
            Err(error) => return Err(unread(&dir, error)),
        }
    }
    Ok(Certificates::default())
}

/// What a host's own directory says; `None` if there is no such directory.
///
/// # Errors
/// `Config` if it can't be read, or a certificate or key stands there without the other.
pub(super) fn in_dir(dir: &Path) -> Result<Option<Certificates>> {
    files(dir).map_err(|error| unread(dir, error))?.map(|files| understood(&files)).transpose()
}

fn unread(dir: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Config, format!("read {}", dir.display())).with_source(error)
}

/// What is in a directory, by name; `None` if there is no such directory.
fn files(dir: &Path) -> io::Result<Option<Vec<PathBuf>>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    Ok(Some(files))
}

fn understood(files: &[PathBuf]) -> Result<Certificates> {
    let mut found = Certificates::default();
    for file in files {
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
    Ok(found)
}

/// Whether it says that there is no such directory.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/etc/docker` with mode 0700, as an ordinary user sees it; the directory behind it is asked all the same.
    #[test]
    fn a_usual_directory_that_is_closed_to_us_is_passed_over_and_one_that_was_named_is_not() {
        let (closed, open) = (PathBuf::from("/closed"), PathBuf::from("/open"));
        let files = |dir: &Path| match dir.to_str().unwrap() {
            "/closed/h.test" => Err(io::ErrorKind::PermissionDenied.into()),
            "/broken/h.test" => Err(io::ErrorKind::InvalidData.into()),
            "/open/h.test" => Ok(Some(vec![dir.join("ca.crt")])),
            _ => Ok(None),
        };
        let read = |dirs: &CertDirs| first(dirs, &"h.test".parse().unwrap(), files);
        let found = read(&CertDirs::Usual(vec![closed.clone(), open])).unwrap();
        assert_eq!(found.roots[0].value, Path::new("/open/h.test/ca.crt"));
        assert_eq!(read(&CertDirs::Usual(vec![closed.clone()])).unwrap(), Certificates::default());
        for (dirs, dir) in [(CertDirs::Named(closed), "closed"), (CertDirs::Usual(vec!["/broken".into()]), "broken")] {
            let error = read(&dirs).unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Config, format!("read /{dir}/h.test")));
        }
    }
}
