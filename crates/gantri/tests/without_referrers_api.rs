//! A registry that lists no referrers, as distribution: the whole behaviour suite holds over the tag scheme, and of many who
//! attach to one subject none is lost, in one process or in four.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt, iter};
use gantri::core::{BlobBody, BlobReader, BlobUpload, Discover, Limits, Manage, Mount, Pull, Push, PutManifest};
use gantri::core::{Error, ErrorKind, Result, UploadSession};
use gantri::server::{Server, ServerOptions};
use gantri::spec::{
    Algorithm, ByteRange, Descriptor, Digest, ImageManifest, MediaType, RawManifest, RepositoryName, Selector, Tag,
};
use gantri::{Memory, Remote};
use gantri_core::registry_suite;
use gantri_core::testkit::{Profile, Subject};
use tokio::task::JoinSet;

registry_suite! {
    without_referrers_api => async {
        let (host, server) = serve().await;
        let mut limits = Limits::default();
        // Nobody else writes here.
        limits.referrers_settle = Duration::from_millis(1);
        Subject::new(client(&host, limits)).holding(server)
    };
    profile: Profile::FULL;
}

/// One process, one client: the writes are few, for each takes along all who wait. The first may go alone, and so may those
/// who come while it settles.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_writers_of_one_process_are_all_listed() {
    let (host, _server) = serve().await;
    let remote = client(&host, Limits::default());
    push_config(&remote).await;
    let subject = subject(0);
    let mut puts = JoinSet::new();
    for at in 0..64 {
        let (remote, referrer) = (remote.clone(), referrer(&format!("writer {at}"), &subject));
        puts.spawn(async move { remote.put_manifest(&repo(), &referrer, &[]).await.map(drop) });
    }
    while let Some(put) = puts.join_next().await {
        put.unwrap().unwrap();
    }
    let listed: Vec<_> = remote.referrers(&repo(), &subject.digest, None).try_collect().await.unwrap();
    assert_eq!(listed.len(), 64);
}

/// Four processes attach to the same subjects at the same time, a hundred times. This test is the four processes as well:
/// it runs itself.
#[test]
fn four_processes_lose_nobody_in_a_hundred_runs() {
    #[expect(clippy::disallowed_methods, reason = "how a test tells the processes that it starts what they are to do")]
    let part = std::env::var(PART);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Ok(part) = part {
        let (host, name) = part.split_once(' ').unwrap();
        return runtime.block_on(attach_as_told(host, name));
    }
    let (host, _server) = runtime.block_on(serve());
    let reader = client(&host, Limits::default());
    runtime.block_on(push_config(&reader));
    let mut writers: Vec<_> = (0..4).map(|at| Writer::start(&format!("{host} writer-{at}"))).collect();
    for from in (0..100).step_by(AT_ONCE) {
        for writer in &mut writers {
            writer.tell(from);
        }
        for writer in &mut writers {
            writer.wait(from);
        }
        for run in from..from + AT_ONCE {
            let listed = reader.referrers(&repo(), &subject(run).digest, None).try_collect::<Vec<_>>();
            assert_eq!(runtime.block_on(listed).unwrap().len(), 4, "run {run}");
        }
    }
}

/// Runs that go on at the same time, for theirs is mostly waiting.
const AT_ONCE: usize = 20;
const PART: &str = "GANTRI_TEST_PART";

async fn attach_as_told(host: &str, name: &str) {
    let remote = client(host, Limits::default());
    for line in std::io::stdin().lines() {
        let from: usize = line.unwrap().parse().unwrap();
        let puts = (from..from + AT_ONCE).map(|run| {
            let (remote, referrer) = (remote.clone(), referrer(name, &subject(run)));
            async move { remote.put_manifest(&repo(), &referrer, &[]).await.map(drop) }
        });
        for put in join_all(puts).await {
            put.unwrap();
        }
        // Past libtest, which may hold back what is printed; on a line of its own.
        let mut out = std::io::stdout();
        writeln!(out, "\n{}", done(from)).unwrap();
        out.flush().unwrap();
    }
}

fn done(from: usize) -> String {
    format!("attached from {from}")
}

/// Another process, ended with its test.
struct Writer {
    process: Child,
    says: std::io::Lines<BufReader<ChildStdout>>,
}

impl Writer {
    fn start(part: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "four_processes_lose_nobody_in_a_hundred_runs", "--nocapture"])
            .env(PART, part)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, says }
    }

    fn tell(&mut self, from: usize) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{from}").unwrap();
    }

    fn wait(&mut self, from: usize) {
        let said = self.says.by_ref().map(|line| line.unwrap()).find(|line| *line == done(from));
        assert!(said.is_some(), "the process ended");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn repo() -> RepositoryName {
    "suite/together".parse().unwrap()
}

fn subject(run: usize) -> Descriptor {
    Descriptor::of(MediaType::OCI_MANIFEST, format!("subject {run}").as_bytes())
}

fn config() -> Descriptor {
    Descriptor::of(MediaType::OCI_EMPTY, b"{}")
}

async fn push_config(remote: &Remote) {
    remote.put_blob(&repo(), &config(), BlobBody::bytes("{}")).await.unwrap();
}

fn referrer(name: &str, subject: &Descriptor) -> RawManifest {
    let mut referrer = ImageManifest::new(config(), Vec::new());
    referrer.artifact_type = Some(MediaType::from("application/vnd.example.signature"));
    referrer.annotations.insert("org.example.name".to_owned(), name.to_owned());
    referrer.subject = Some(subject.clone());
    referrer.to_raw()
}

/// The host of a server that lists no referrers, and the server.
async fn serve() -> (String, JoinSet<()>) {
    let registry = Arc::new(WithoutReferrers(Memory::new()));
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), registry, ServerOptions::default()).await.unwrap();
    let host = server.local_addr().to_string();
    let mut running = JoinSet::new();
    running.spawn(async move { server.run(std::future::pending()).await.unwrap() });
    (host, running)
}

fn client(host: &str, limits: Limits) -> Remote {
    Remote::builder(host.parse().unwrap()).limits(limits).build().unwrap()
}

/// Memory that keeps no referrers, and does not say that it does.
#[derive(Debug)]
struct WithoutReferrers(Memory);

#[async_trait]
impl Pull for WithoutReferrers {
    async fn resolve_manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        self.0.resolve_manifest(repo, at).await
    }

    async fn manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        self.0.manifest(repo, at).await
    }

    async fn resolve_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        self.0.resolve_blob(repo, digest).await
    }

    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        self.0.blob(repo, digest, range).await
    }

    fn guards_content(&self) -> bool {
        self.0.guards_content()
    }
}

#[async_trait]
impl Push for WithoutReferrers {
    async fn put_blob(&self, repo: &RepositoryName, blob: &Descriptor, body: BlobBody) -> Result<()> {
        self.0.put_blob(repo, blob, body).await
    }

    async fn mount_blob(&self, repo: &RepositoryName, digest: &Digest, from: Option<&RepositoryName>) -> Result<Mount> {
        self.0.mount_blob(repo, digest, from).await
    }

    async fn start_upload(&self, repo: &RepositoryName, algorithm: Algorithm) -> Result<Box<dyn BlobUpload>> {
        self.0.start_upload(repo, algorithm).await
    }

    async fn resume_upload(&self, repo: &RepositoryName, session: UploadSession) -> Result<Box<dyn BlobUpload>> {
        self.0.resume_upload(repo, session).await
    }

    async fn put_manifest(&self, repo: &RepositoryName, manifest: &RawManifest, tags: &[Tag]) -> Result<PutManifest> {
        let put = self.0.put_manifest(repo, manifest, tags).await?;
        Ok(PutManifest::new(put.tags, None))
    }
}

#[async_trait]
impl Manage for WithoutReferrers {
    async fn delete_tag(&self, repo: &RepositoryName, tag: &Tag) -> Result<()> {
        self.0.delete_tag(repo, tag).await
    }

    async fn delete_manifest(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        self.0.delete_manifest(repo, digest).await
    }

    async fn delete_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        self.0.delete_blob(repo, digest).await
    }
}

impl Discover for WithoutReferrers {
    fn repositories(&self, after: Option<&RepositoryName>) -> BoxStream<'static, Result<RepositoryName>> {
        self.0.repositories(after)
    }

    fn tags(&self, repo: &RepositoryName, after: Option<&Tag>) -> BoxStream<'static, Result<Tag>> {
        self.0.tags(repo, after)
    }

    fn referrers(
        &self,
        _: &RepositoryName,
        _: &Digest,
        _: Option<&MediaType>,
    ) -> BoxStream<'static, Result<Descriptor>> {
        iter([Err(Error::new(ErrorKind::Unsupported, "no referrers here"))]).boxed()
    }
}
