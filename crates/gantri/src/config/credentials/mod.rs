//! Who the user is, as the machine's configuration says: every place that clients of registries keep credentials in, in one
//! order, and where each answer came from.
//!
//! What is asked first: the credential that was given with the call; `DOCKER_AUTH_CONFIG`; the file that the call or
//! `REGISTRY_AUTH_FILE` names; docker's `config.json`; what containers' `registries.conf` lists as `credential-helpers`, of
//! which `containers-auth.json`, its default, stands for the files of that name. The first that has something is believed. A
//! place that can't be read, and a helper that fails, is an error and never sends the question elsewhere (A14).

mod containers;
mod edit;
mod file;
mod helper;
mod keep;
mod key;
mod replace;
mod source;

use std::collections::HashMap;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use gantri_core::{Error, Limits, Result};
use gantri_remote::{Credential, Credentials};
use gantri_spec::{Host, RepositoryName};

use self::containers::Listed;
pub use self::file::CredentialFile;
use self::file::Rule;
use self::helper::{Bench, Helper};
pub use self::source::{CredentialPlace, CredentialSource};
use super::configuration::Configuration;
use super::environment::Environment;
use super::registries_conf::CREDENTIAL_HELPERS;
use super::regular;

/// Credentials in a variable: the text of a `config.json`.
const AUTH_CONFIG: &str = "DOCKER_AUTH_CONFIG";
/// Names a file of credentials that comes before all others.
const AUTH_FILE: &str = "REGISTRY_AUTH_FILE";
/// What helpers are not told (A16).
const SECRET_VARIABLES: [&str; 1] = [AUTH_CONFIG];

/// The credentials of this machine's user, read when the first registry asks: what needs no credentials does not stumble
/// over a broken file.
#[derive(Debug)]
pub struct CredentialChain {
    given: Vec<(Host, Credential)>,
    environment: Environment,
    configuration: Arc<Configuration>,
    /// Below which the machine's own directories are.
    root: PathBuf,
    auth_file: Option<PathBuf>,
    limits: Limits,
    /// Hosts that are known to have credentials for single repositories, or not to.
    apart: Mutex<HashMap<Host, bool>>,
}

/// A link of the chain.
#[derive(Debug)]
enum Place {
    /// Something that holds entries and names helpers.
    File(CredentialFile),
    /// A helper that is asked about every host.
    Helper(Helper, PathBuf),
}

impl CredentialChain {
    /// The chain of whoever has this environment.
    pub fn new(environment: Environment) -> Self {
        Self::found_in(environment, Path::new("/"))
    }

    fn found_in(environment: Environment, root: &Path) -> Self {
        Self {
            given: Vec::new(),
            auth_file: environment.path(AUTH_FILE),
            configuration: Arc::new(Configuration::found_in(&environment, root)),
            root: root.to_owned(),
            environment,
            limits: Limits::default(),
            apart: Mutex::default(),
        }
    }

    /// Takes the helpers of this configuration, in place of those of the environment's `registries.conf`.
    pub fn with_configuration(mut self, configuration: impl Into<Arc<Configuration>>) -> Self {
        self.configuration = configuration.into();
        self
    }

    /// Is this at a host, whatever any configuration says.
    pub fn with_credential(mut self, host: Host, credential: Credential) -> Self {
        self.given.push((host, credential));
        self
    }

    /// Looks into this file first, in place of the one that `REGISTRY_AUTH_FILE` names. It need not be there.
    pub fn with_auth_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.auth_file = Some(path.into());
        self
    }

    /// The bounds of files and helpers.
    ///
    /// # Errors
    /// `Config` for a bound that [can't be kept](Limits::check).
    pub fn with_limits(self, limits: Limits) -> Result<Self> {
        limits.check()?;
        Ok(Self { limits, ..self })
    }

    /// Where a credential would be looked for, first things first. No helper is run: whether one has something, and so
    /// whether what comes after it is asked at all, is not known.
    ///
    /// # Errors
    /// `Config` if a file is not what it should be; `Credentials` if it contradicts itself; `Io`.
    pub fn sources(&self, host: &Host, repository: Option<&RepositoryName>) -> Result<Vec<CredentialSource>> {
        if self.given(host).is_some() {
            return Ok(vec![CredentialSource::Given]);
        }
        let mut sources = Vec::new();
        for place in self.places() {
            match place? {
                Place::Helper(helper, path) => sources.push(general(&helper, path)),
                Place::File(file) => {
                    let rules = file.rules(host, repository).map_err(|error| file.about(host, error))?;
                    let said = rules.into_iter().filter(Rule::may_answer);
                    sources.extend(said.map(|rule| file.source(rule)));
                }
            }
        }
        Ok(sources)
    }

    /// Who the user is, and what says so; `None` if nothing does.
    ///
    /// # Errors
    /// Those of [`sources`](Self::sources); `Credentials` if a helper fails.
    ///
    /// # Cancel safety
    /// Dropping the future ends the helper that runs.
    pub async fn find(
        &self,
        host: &Host,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<(CredentialSource, Credential)>> {
        self.find_among(self.places(), host, repository).await
    }

    async fn find_among(
        &self,
        places: impl IntoIterator<Item = Result<Place>>,
        host: &Host,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<(CredentialSource, Credential)>> {
        let found = match self.given(host) {
            Some(credential) => Some((CredentialSource::Given, credential.clone())),
            None => self.look(places, host, repository).await?,
        };
        let source = found.as_ref().map(|(source, _)| source.to_string());
        tracing::debug!(%host, source = source.as_deref().unwrap_or("nothing"), "looked up who the user is");
        Ok(found)
    }

    async fn look(
        &self,
        places: impl IntoIterator<Item = Result<Place>>,
        host: &Host,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<(CredentialSource, Credential)>> {
        for place in places {
            let found = match place? {
                Place::Helper(helper, path) => {
                    let asked = helper.get(host.as_str(), self.bench()).await;
                    let found = asked.map_err(|error| error.during(format_args!("{}: {host}", path.display())))?;
                    found.map(|credential| (general(&helper, path), credential))
                }
                Place::File(file) => {
                    self.find_in(&file, host, repository).await.map_err(|error| file.about(host, error))?
                }
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    async fn find_in(
        &self,
        file: &CredentialFile,
        host: &Host,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<(CredentialSource, Credential)>> {
        for rule in file.rules(host, repository)? {
            let credential = match rule {
                Rule::Helper(helper, _, server) => helper.get(server, self.bench()).await?,
                Rule::Entry(_, entry) => Some(entry.credential()?),
            };
            if let Some(credential) = credential.filter(|credential| !credential.is_anonymous()) {
                return Ok(Some((file.source(rule), credential)));
            }
        }
        Ok(None)
    }

    /// The links of the chain, each read when it is reached; what is not there is left out.
    fn places(&self) -> impl Iterator<Item = Result<Place>> + '_ {
        let variable = iter::once_with(|| self.variable()).filter_map(Result::transpose);
        let docker = iter::once_with(|| self.docker_file());
        let files = self.auth_file.clone().into_iter().chain(docker.flatten());
        let files = files.filter_map(|path| self.read(path).transpose());
        variable.chain(files).chain(iter::once_with(|| self.listed()).flatten())
    }

    fn variable(&self) -> Result<Option<Place>> {
        let Some(text) = self.environment.value(AUTH_CONFIG) else { return Ok(None) };
        let place = CredentialPlace::Variable(AUTH_CONFIG);
        CredentialFile::parse(place, text.as_encoded_bytes()).map(|file| Some(Place::File(file)))
    }

    /// Docker's own file, whether or not it is there.
    fn docker_file(&self) -> Option<PathBuf> {
        let dir = self.environment.path("DOCKER_CONFIG");
        let dir = dir.or_else(|| Some(self.environment.path("HOME")?.join(".docker")));
        Some(dir?.join("config.json"))
    }

    /// What containers' configuration lists.
    fn listed(&self) -> Box<dyn Iterator<Item = Result<Place>> + Send + '_> {
        let listed = containers::credential_helpers(&self.configuration);
        let (helpers, path) = match listed {
            Ok(listed) => listed,
            Err(error) => return Box::new(iter::once(Err(error))),
        };
        let places = helpers.into_iter().flat_map(move |listed| match listed {
            Listed::AuthFiles => {
                let files = containers::auth_files(&self.environment, &self.root, self.auth_file.is_some());
                files.into_iter().filter_map(|path| self.read(path).transpose()).collect::<Vec<_>>()
            }
            Listed::Helper(helper) => vec![Ok(Place::Helper(helper, path.clone()))],
        });
        Box::new(places)
    }

    fn read(&self, path: PathBuf) -> Result<Option<Place>> {
        let Some(text) = read(&path, &self.limits)? else { return Ok(None) };
        CredentialFile::parse(CredentialPlace::File(path), &text).map(|file| Some(Place::File(file)))
    }

    fn given(&self, host: &Host) -> Option<&Credential> {
        self.given.iter().rev().find(|(of, _)| of == host).map(|(_, credential)| credential)
    }

    fn bench(&self) -> Bench<'_> {
        Bench { environment: &self.environment, limits: &self.limits }
    }

    /// All that may have something for a host, read now.
    fn read_for(&self, host: &Host) -> Vec<Result<Place>> {
        if self.given(host).is_some() { Vec::new() } else { self.places().collect() }
    }

    /// Looks whether any place that could be read knows repositories of this host apart.
    fn look_for_repositories(&self, host: &Host, places: &[Result<Place>]) -> bool {
        let apart = places.iter().any(|place| matches!(place, Ok(Place::File(file)) if file.tells_apart(host)));
        self.apart.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone(), apart);
        apart
    }
}

/// The chain of this process's environment.
impl Default for CredentialChain {
    fn default() -> Self {
        Self::new(Environment::of_process())
    }
}

#[async_trait]
impl Credentials for CredentialChain {
    /// Files of credentials are read anew each time, so that whoever is refused profits from a new login. What lists the
    /// helpers is read once, with the rest of the configuration.
    async fn credential(&self, host: &Host, repository: Option<&RepositoryName>) -> Result<Credential> {
        let places = self.read_for(host);
        self.look_for_repositories(host, &places);
        let found = self.find_among(places, host, repository).await?;
        Ok(found.map_or(Credential::Anonymous, |(_, credential)| credential))
    }

    fn by_repository(&self, host: &Host) -> bool {
        let known = self.apart.lock().unwrap_or_else(PoisonError::into_inner).get(host).copied();
        known.unwrap_or_else(|| self.look_for_repositories(host, &self.read_for(host)))
    }
}

fn general(helper: &Helper, path: PathBuf) -> CredentialSource {
    let program = helper.program().to_owned();
    CredentialSource::Helper { place: CredentialPlace::File(path), setting: CREDENTIAL_HELPERS, program }
}

/// The bytes of a file of configuration; `None` if there is no such file.
fn read(path: &Path, limits: &Limits) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>> {
    match regular::read(path, limits.credential_file)? {
        Some(text) if text.len() as u64 > limits.credential_file => {
            Err(Error::limit(path.display(), "credential_file", limits.credential_file))
        }
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests;
