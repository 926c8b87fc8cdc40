//! What the arguments mean: a client, an output, parsed locations.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gantri::config::{Configuration, CredentialChain, Environment};
use gantri::remote::Proxies;
use gantri::spec::{Host, InvalidHost, InvalidPlatform};
use gantri::{
    Client, Error, ErrorKind, Event, KeptUploads, Limits, Location, Observer, PlainHttp, Platform, Reference,
};
use tracing_subscriber::filter::LevelFilter;

use crate::alternatives;
use crate::args::{Global, Http, JobsArg, PlatformArg};
use crate::credentials;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress;

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) output: Output,
    pub(crate) client: Client,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) credentials: Arc<CredentialChain>,
    pub(crate) proxies: Arc<Proxies>,
    pub(crate) plain_http: PlainHttp,
}

/// What the client of a command is set to, beside what every command understands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings<'a> {
    /// Which image of an index is meant.
    pub(crate) platform: Option<&'a str>,
    /// How many blobs are on their way at once.
    pub(crate) jobs: Option<u16>,
}

impl<'a> Settings<'a> {
    /// Chooses a platform.
    pub(crate) fn platform(arg: &'a PlatformArg) -> Self {
        Self { platform: arg.platform.as_deref(), jobs: None }
    }

    /// Sends and fetches so much at once.
    pub(crate) fn jobs(self, arg: JobsArg) -> Self {
        Self { jobs: arg.jobs, ..self }
    }
}

impl Context {
    /// Reads what the environment has to say and builds the client.
    pub(crate) fn new(global: &Global, settings: Settings<'_>) -> Result<Self, Failure> {
        Self::with_observer(global, settings, progress::observer(global.quiet))
    }

    /// The same with another observer.
    pub(crate) fn with_observer(
        global: &Global,
        settings: Settings<'_>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Failure> {
        let plain_http = match global.plain_http {
            Http::Auto => PlainHttp::Auto,
            Http::Always => PlainHttp::Always,
            Http::Never => PlainHttp::Never,
        };
        let configuration = Arc::new(global.configuration.configuration()?);
        let credentials = Arc::new(credentials::chain(&global.credentials, Arc::clone(&configuration)));
        let proxies = Arc::new(Environment::of_process().proxies()?);
        let mut client = Client::builder()
            .observer(observer)
            .configuration(Arc::clone(&configuration))
            .proxies(Arc::clone(&proxies))
            .credentials(credentials.clone())
            .plain_http(plain_http);
        if let Some(uploads) = KeptUploads::of_user() {
            client = client.upload_sessions(Arc::new(uploads));
        }
        if let Some(platform) = settings.platform {
            client = client.platform(parse_platform(platform)?);
        }
        if let Some(jobs) = settings.jobs {
            let mut limits = Limits::default();
            limits.concurrent_layers = jobs.into();
            limits.concurrent_requests = limits.concurrent_requests.max(jobs.into());
            client = client.limits(limits);
        }
        let client = global.network.tell(client).build()?;
        // One command, one client.
        let _ = CLIENT.set(client.clone());
        let _ = CONFIGURATION.set(Arc::clone(&configuration));
        Ok(Self { output: Output::new(global.format), client, configuration, credentials, proxies, plain_http })
    }

    /// What is meant by the name of an image to read: what was typed, or what the configuration takes a short name for. Of
    /// several that it may stand for, it is the first that is there.
    pub(crate) async fn meant(&self, typed: &str, location: Location) -> Result<Location, Failure> {
        let Location::Registry(_) = location else { return Ok(location) };
        let Some(name) = self.configuration.short_name(typed)?.filter(|name| name.said.is_some()) else {
            return Ok(location);
        };
        let mut candidates = name.candidates.into_iter().map(Location::from).peekable();
        let mut meant = location;
        while let Some(candidate) = candidates.next() {
            meant = candidate;
            // Who asks for the last one hears why it is not there.
            if candidates.peek().is_none() || self.client.resolve(&meant).await.is_ok() {
                break;
            }
        }
        Ok(meant)
    }

    /// What a failed job about `asked` is reported as.
    pub(crate) async fn outcome<T>(&self, asked: &Location, job: gantri::Result<T>) -> Result<T, Failure> {
        match job {
            Ok(done) => Ok(done),
            Err(error) => Err(alternatives::told(&self.client, asked, error).await),
        }
    }
}

/// The client of this process, for what a signal leaves to do.
static CLIENT: OnceLock<Client> = OnceLock::new();

/// The configuration of this process, for what is to be said of it in the end.
static CONFIGURATION: OnceLock<Arc<Configuration>> = OnceLock::new();

/// Says what in the configuration that the command went by was left out of account.
pub(crate) fn tell_of_configuration(quiet: bool) {
    for note in CONFIGURATION.get().map(|configuration| configuration.notes()).unwrap_or_default() {
        progress::observer(quiet).event(&Event::Notice(&note));
    }
}

/// Cancels the upload sessions that the interrupted command has left open, as far as that can be done in a moment (H24).
pub(crate) async fn cancel_left_uploads() {
    const MOMENT: Duration = Duration::from_secs(1);
    if let Some(client) = CLIENT.get() {
        // Whatever is left then is left to the registry.
        let _ = tokio::time::timeout(MOMENT, client.cancel_left_uploads()).await;
    }
}

/// Starts telling what is decided, if that is wanted. Once, for every command.
pub(crate) fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // Only ours: the libraries below print headers and bodies, and with them secrets (A16).
    let ours = tracing_subscriber::filter::EnvFilter::new(format!(
        "gantri={level},gantri_core={level},gantri_remote={level},gantri_store={level},gantri_image={level},gantri_server={level}"
    ));
    tracing_subscriber::fmt().with_env_filter(ours).with_writer(std::io::stderr).without_time().init();
}

/// An image anywhere.
pub(crate) fn location(text: &str) -> Result<Location, Failure> {
    if is_registry_alone(text) {
        let what = format!("{text:?}: it looks like a registry; a name is missing: HOST/NAME");
        let hint = format!(
            "docker.io/library/{text} if an image of Docker Hub is meant; what an alias stands for is named in full"
        );
        return Err(Failure::Usage(Error::new(ErrorKind::NameInvalid, what).with_hint(hint)));
    }
    text.parse().map_err(|error: Error| Failure::Usage(if is_path(text) { in_a_layout(error, text) } else { error }))
}

/// `127.0.0.1:5000` could be a name and a tag of Docker Hub's, which nobody means by it.
fn is_registry_alone(text: &str) -> bool {
    let Some((host, port)) = text.split_once(':') else { return false };
    (host == "localhost" || host.contains('.'))
        && !host.contains(['/', '@'])
        && port.parse::<u16>().is_ok_and(|port| port > 0)
        && text.parse::<Host>().is_ok()
}

/// Whether it can only be the path of a file or a directory.
fn is_path(text: &str) -> bool {
    ["/", "./", "../", "~/"].iter().any(|start| text.starts_with(start))
}

fn in_a_layout(error: Error, path: &str) -> Error {
    error.with_hint(format!("an image layout in a directory is written oci:{path}"))
}

/// A registry.
pub(crate) fn host(text: &str) -> Result<Host, Failure> {
    if let Some((_, host)) = text.rsplit_once('@') {
        let hint = format!("gantri login {}", host.split('/').next().unwrap_or_default());
        let error = Error::new(
            ErrorKind::NameInvalid,
            format!("host \"{}\": it carries no user and password", gantri::display_place(text)),
        );
        return Err(Failure::Usage(error.with_hint(hint)));
    }
    if text.contains('/') && !text.contains("://") {
        return Err(usage(format!("host {text:?}: a host without a path is wanted")));
    }
    text.parse().map_err(|error: InvalidHost| usage(error.to_string()))
}

/// An image in a local place: a layout or an archive.
pub(crate) fn local(text: &str) -> Result<Location, Failure> {
    let no_local = || {
        Error::new(
            ErrorKind::NameInvalid,
            format!(
                "{text:?}: a layout or an archive is wanted here, oci:DIR[:TAG], oci-archive:FILE[:TAG] or \
                 docker-archive:FILE[:NAME]"
            ),
        )
    };
    if is_path(text) {
        return Err(Failure::Usage(in_a_layout(no_local(), text)));
    }
    match location(text)? {
        Location::Registry(_) => Err(Failure::Usage(no_local())),
        local => Ok(local),
    }
}

/// A local place for an image. What it is called there is a tag; its digest it brings along.
pub(crate) fn local_target(text: &str) -> Result<Location, Failure> {
    let target = local(text)?;
    match target.digest() {
        Some(_) => Err(usage(format!("{text:?}: a target is named by a tag, not by a digest"))),
        None => Ok(target),
    }
}

/// An image in a registry.
pub(crate) fn reference(text: &str) -> Result<Reference, Failure> {
    match location(text)? {
        Location::Registry(reference) => Ok(reference),
        _ => Err(usage(format!("{text:?}: a registry reference is wanted here, HOST/NAME[:TAG][@DIGEST]"))),
    }
}

/// An error in what was typed.
pub(crate) fn usage(what: impl Into<String>) -> Failure {
    Failure::Usage(Error::new(ErrorKind::NameInvalid, what))
}

/// A platform.
pub(crate) fn parse_platform(text: &str) -> Result<Platform, Failure> {
    text.parse().map_err(|error: InvalidPlatform| usage(error.to_string()))
}
