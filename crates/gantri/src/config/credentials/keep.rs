//! Logging in and out: credentials are kept where the chain finds them again, and forgotten wherever it would find them.

use std::path::{Path, PathBuf};

use gantri_core::{Error, ErrorKind, Result};
use gantri_remote::Credential;
use gantri_spec::{Host, RepositoryName};

use super::containers::{self, Listed};
use super::edit;
use super::file::{CredentialFile, Rule};
use super::helper::Helper;
use super::replace::replace;
use super::source::{CredentialPlace, CredentialSource};
use super::{AUTH_CONFIG, CredentialChain, Place, general, key};

/// Where a credential is to be kept.
enum Target {
    /// In the file, as an entry of `auths`.
    File(PathBuf),
    /// In a helper, under what it calls the server; the file would come before it, or beside it.
    Helper { helper: Helper, server: String, source: CredentialSource, file: PathBuf },
}

impl CredentialChain {
    /// Keeps a credential for a host where this chain finds it again: in the helper that is configured for the host, else in
    /// the file that is read first. The rest of the file stays as it is, byte for byte; entries that would hide the new one
    /// are removed.
    ///
    /// # Errors
    /// `Config` if there is no place, or one that is asked before it says something else; `Credentials` if the helper fails;
    /// `Unsupported` for what has no place in such a file; `Timeout` if somebody else is changing the file; `Io`.
    ///
    /// # Cancel safety
    /// Atomic: the file is as it was, or as it should be. A helper may have kept the credential or not.
    pub async fn store(&self, host: &Host, credential: &Credential) -> Result<CredentialSource> {
        self.refuse_what_is_hidden(host)?;
        let source = match self.target(host)? {
            Target::File(path) => self.store_in_file(path, host, credential).await?,
            Target::Helper { helper, server, source, file } => {
                helper.store(&server, credential, self.bench()).await?;
                if file.exists() {
                    replace(&file, &self.limits, |text| edit::without(&file, text, host, None)).await?;
                }
                source
            }
        };
        // Whoever has logged in has to be found: nothing else may stand before it.
        match self.sources(host, None)?.into_iter().next().filter(|first| *first != source) {
            Some(first) => Err(hidden(host, &first)),
            None => Ok(source),
        }
    }

    /// Forgets what every file and helper of this chain has for a host as a whole; where it was. What a variable says, and
    /// what stands there for single repositories, stays.
    ///
    /// # Errors
    /// As [`store`](Self::store). What was forgotten before stays so.
    ///
    /// # Cancel safety
    /// Atomic for each file and helper.
    pub async fn erase(&self, host: &Host) -> Result<Vec<CredentialSource>> {
        let mut erased = Vec::new();
        for place in self.places() {
            match place? {
                Place::Helper(helper, path) => {
                    if helper.get(host.as_str(), self.bench()).await?.is_some() {
                        helper.erase(host.as_str(), self.bench()).await?;
                        erased.push(general(&helper, path));
                    }
                }
                Place::File(file) => {
                    if let Some(rule @ Rule::Helper(helper, _, server)) = file.helper(host)
                        && helper.get(server, self.bench()).await?.is_some()
                    {
                        helper.erase(server, self.bench()).await?;
                        erased.push(file.source(rule));
                    }
                    let CredentialPlace::File(path) = file.place() else { continue };
                    erased.extend(self.erase_in(path, &file, host, None).await?);
                }
            }
        }
        Ok(erased)
    }

    /// Forgets what every file of this chain has for these repositories of a host, under a key like `quay.io/team`; where it
    /// was. What stands there for the host as a whole, and for others of its repositories, stays.
    ///
    /// # Errors
    /// As [`store`](Self::store). What was forgotten before stays so.
    ///
    /// # Cancel safety
    /// Atomic for each file.
    pub async fn erase_repositories(
        &self,
        host: &Host,
        repositories: &RepositoryName,
    ) -> Result<Vec<CredentialSource>> {
        let mut erased = Vec::new();
        for place in self.places() {
            if let Place::File(file) = place?
                && let CredentialPlace::File(path) = file.place()
            {
                erased.extend(self.erase_in(path, &file, host, Some(repositories)).await?);
            }
        }
        Ok(erased)
    }

    /// What the files, and a variable, have for single repositories of a host, and for which.
    ///
    /// # Errors
    /// `Config` if a file is not what it should be.
    pub fn sources_of_repositories(&self, host: &Host) -> Result<Vec<(CredentialSource, RepositoryName)>> {
        let mut found = Vec::new();
        for place in self.places() {
            if let Place::File(file) = place? {
                found.extend(file.entries_of(host).filter_map(|(source, path)| Some((source, path?.clone()))));
            }
        }
        Ok(found)
    }

    async fn erase_in(
        &self,
        path: &Path,
        file: &CredentialFile,
        host: &Host,
        repositories: Option<&RepositoryName>,
    ) -> Result<Vec<CredentialSource>> {
        if !replace(path, &self.limits, |text| edit::without(path, text, host, repositories)).await? {
            return Ok(Vec::new());
        }
        let erased = file.entries_of(host).filter(|(_, path)| *path == repositories);
        Ok(erased.map(|(source, _)| source).collect())
    }

    async fn store_in_file(&self, path: PathBuf, host: &Host, credential: &Credential) -> Result<CredentialSource> {
        let entry = edit::entry(credential)?;
        let key = key::server(host);
        replace(&path, &self.limits, |text| edit::with(&path, text, host, key, &entry)).await?;
        Ok(CredentialSource::Entry { place: CredentialPlace::File(path), key: key.to_owned() })
    }

    /// A variable can't be written, and is asked before all that can.
    fn refuse_what_is_hidden(&self, host: &Host) -> Result<()> {
        let Some(Place::File(file)) = self.variable()? else { return Ok(()) };
        let rules = file.rules(host, None)?;
        match rules.into_iter().find(Rule::may_answer) {
            Some(rule) => Err(hidden(host, &file.source(rule)).with_hint(format!("unset {AUTH_CONFIG}, or change it"))),
            None => Ok(()),
        }
    }

    fn target(&self, host: &Host) -> Result<Target> {
        let Some(path) = self.auth_file.clone().or_else(|| self.docker_file()) else {
            let what = format!("{host}: there is no place to keep credentials: HOME is not set");
            return Err(Error::new(ErrorKind::Config, what).with_hint("name a file in REGISTRY_AUTH_FILE"));
        };
        if let Some(Place::File(file)) = self.read(path.clone())?
            && let Some(rule @ Rule::Helper(helper, _, server)) = file.helper(host)
        {
            let (helper, server, source) = (helper.clone(), server.to_owned(), file.source(rule));
            return Ok(Target::Helper { helper, server, source, file: path });
        }
        if self.auth_file.is_none() {
            let (listed, conf) = containers::credential_helpers(&self.configuration)?;
            if let Some(Listed::Helper(helper)) = listed.into_iter().next() {
                let source = general(&helper, conf);
                return Ok(Target::Helper { helper, server: host.to_string(), source, file: path });
            }
        }
        Ok(Target::File(path))
    }
}

fn hidden(host: &Host, by: &CredentialSource) -> Error {
    Error::new(ErrorKind::Config, format!("{host}: {by} comes first, and hides what is kept elsewhere"))
}
