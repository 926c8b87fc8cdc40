//! Debian's skopeo and we, over the same `registries.conf`: who is asked for the manifest, under which name, in which order.
//!
//! Names that lead nowhere stand for registries; `location` and mirrors are servers on loopback that write down what they
//! are asked. `M1` and `M2` are mirrors and `O` the origin; `!` behind a name is where the image is.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use gantri::config::Configuration;
use gantri::{Client, Location};
use tempfile::TempDir;
use test_support::{Image, Reply, ScriptedServer};

/// What was asked of any of them, one after the other.
type Log = Arc<Mutex<Vec<String>>>;

/// Three registries and a file about them.
struct Stage {
    dir: TempDir,
    servers: Vec<(&'static str, ScriptedServer)>,
    log: Log,
    image: Image,
}

impl Stage {
    fn new(holders: &[&str]) -> Self {
        let (image, log) = (Image::of(&[]), Log::default());
        let servers = ["M1", "M2", "O"].map(|name| {
            let (image, log, holds) = (image.clone(), Arc::clone(&log), holders.contains(&name));
            let server = ScriptedServer::start(move |request| {
                if request.target == "/v2/" {
                    return Reply::ok("{}");
                }
                if let Some((repository, at)) = request.target.split_once("/manifests/") {
                    let repository = repository.trim_start_matches("/v2/");
                    log.lock().unwrap().push(format!("{name} {repository} {at}"));
                }
                if holds { image.answer(request) } else { Reply::new(404) }
            });
            (name, server)
        });
        Self { dir: tempfile::tempdir().unwrap(), servers: servers.into(), log, image }
    }

    fn fill(&self, text: &str) -> String {
        let hosts = self.servers.iter();
        let text =
            hosts.fold(text.to_owned(), |text, (name, server)| text.replace(&format!("@{name}@"), &server.host()));
        text.replace("@D@", self.image.manifest.digest().as_str())
    }

    /// What has been asked since the last time, digests as `D`.
    fn asked(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.log.lock().unwrap());
        asked.into_iter().map(|line| line.replace(self.image.manifest.digest().as_str(), "D")).collect()
    }

    /// Whether skopeo gets the manifest, and whom it asks.
    fn skopeo(&self, conf: &Path, reference: &str) -> (bool, Vec<String>) {
        let ran = Command::new("skopeo")
            .args(["--insecure-policy", "--registries-conf"])
            .arg(conf)
            .args(["inspect", "--raw", &format!("docker://{reference}")])
            .env("HOME", self.dir.path())
            .output()
            .expect("skopeo, which `cargo xtask interop` installs");
        (ran.status.success(), self.asked())
    }

    /// The same of ours.
    async fn gantri(&self, conf: &Path, reference: &str) -> (bool, Vec<String>) {
        let client = Client::builder().configuration(Configuration::default().registries_conf(conf)).build().unwrap();
        let location: Location = reference.parse().unwrap();
        (client.manifest(&location).await.is_ok(), self.asked())
    }
}

/// Both over the same file, which says what it does in `conf`; each must find the image if `found` and ask as `asked` says.
async fn agree(holders: &[&str], conf: &str, reference: &str, found: bool, asked: &[&str]) {
    let stage = Stage::new(holders);
    let file = stage.dir.path().join("registries.conf");
    fs::write(&file, stage.fill(conf)).unwrap();
    let reference = stage.fill(reference);
    let theirs = stage.skopeo(&file, &reference);
    let ours = stage.gantri(&file, &reference).await;
    assert_eq!(ours, theirs, "ours and skopeo's\n{}\n{reference}", stage.fill(conf));
    assert_eq!(theirs, (found, asked.iter().map(|line| (*line).to_owned()).collect()), "{reference}");
}

/// A registry for a prefix at the origin, with two mirrors, about which more may be said.
fn conf(prefix: &str, more: &str, of_first: &str, of_second: &str) -> String {
    format!(
        "[[registry]]\nprefix = \"{prefix}\"\nlocation = \"@O@/o\"\ninsecure = true\n{more}\n\
         [[registry.mirror]]\nlocation = \"@M1@/m1\"\ninsecure = true\n{of_first}\n\
         [[registry.mirror]]\nlocation = \"@M2@/m2/deep\"\ninsecure = true\n{of_second}\n"
    )
}

#[tokio::test]
async fn mirrors_are_asked_in_the_order_of_the_file_and_the_location_last() {
    let plain = conf("example.com/foo", "", "", "");
    let all = ["M1 m1/app v1", "M2 m2/deep/app v1", "O o/app v1"];
    agree(&["O"], &plain, "example.com/foo/app:v1", true, &all).await;
    agree(&["M2", "O"], &plain, "example.com/foo/app:v1", true, &all[..2]).await;
    agree(&["M1"], &plain, "example.com/foo/app:v1", true, &all[..1]).await;
    agree(&[], &plain, "example.com/foo/app:v1", false, &all).await;
    let by_digest = ["M1 m1/app D", "M2 m2/deep/app D", "O o/app D"];
    agree(&["O"], &plain, "example.com/foo/app@@D@", true, &by_digest).await;
}

#[tokio::test]
async fn a_reference_by_tag_leaves_out_the_mirrors_for_digests() {
    let by_digest_only = conf("example.com/foo", "mirror-by-digest-only = true", "", "");
    agree(&["M1", "O"], &by_digest_only, "example.com/foo/app:v1", true, &["O o/app v1"]).await;
    agree(&["M2", "O"], &by_digest_only, "example.com/foo/app@@D@", true, &["M1 m1/app D", "M2 m2/deep/app D"]).await;
    let (tags, digests) = ("pull-from-mirror = \"tag-only\"", "pull-from-mirror = \"digest-only\"");
    let apart = conf("example.com/foo", "", tags, digests);
    agree(&["O"], &apart, "example.com/foo/app:v1", true, &["M1 m1/app v1", "O o/app v1"]).await;
    agree(&["O"], &apart, "example.com/foo/app@@D@", true, &["M2 m2/deep/app D", "O o/app D"]).await;
    let all = conf("example.com/foo", "", "pull-from-mirror = \"all\"", digests);
    agree(&["O"], &all, "example.com/foo/app", true, &["M1 m1/app latest", "O o/app latest"]).await;
}

#[tokio::test]
async fn the_longest_prefix_decides() {
    let nested = format!(
        "{}[[registry]]\nprefix = \"example.com/foo/deep\"\nlocation = \"@M1@/x\"\ninsecure = true\n",
        conf("example.com/foo", "", "", "")
    );
    agree(&["M1"], &nested, "example.com/foo/deep/app:v1", true, &["M1 x/app v1"]).await;
    agree(&["M1"], &nested, "example.com/foo/deeper:v1", true, &["M1 m1/deeper v1"]).await;
    let whole = "[[registry]]\nprefix = \"example.com/foo/app\"\nlocation = \"@O@/other/name\"\ninsecure = true\n";
    agree(&["O"], whole, "example.com/foo/app:v1", true, &["O other/name v1"]).await;
    let host = "[[registry]]\nprefix = \"example.com:5000\"\nlocation = \"@O@\"\ninsecure = true\n";
    agree(&["O"], host, "example.com:5000/foo/app:v1", true, &["O foo/app v1"]).await;
}

#[tokio::test]
async fn a_wildcard_is_for_every_subdomain() {
    let wild = conf("*.example.com", "", "", "");
    agree(&["O"], &wild, "a.b.example.com/app:v1", true, &["M1 m1/app v1", "M2 m2/deep/app v1", "O o/app v1"]).await;
    let nowhere = "[[registry]]\nprefix = \"*.example.com\"\n\
        [[registry.mirror]]\nlocation = \"@M1@/m1\"\ninsecure = true\n";
    agree(&["M1"], nowhere, "a.example.com/foo/app:v1", true, &["M1 m1/foo/app v1"]).await;
}

#[tokio::test]
async fn docker_hub_is_matched_with_its_library() {
    let library = conf("docker.io/library", "", "", "");
    agree(&["M1"], &library, "alpine:v1", true, &["M1 m1/alpine v1"]).await;
    agree(&["M1"], &library, "docker.io/library/alpine:v1", true, &["M1 m1/alpine v1"]).await;
}

#[tokio::test]
async fn what_is_blocked_is_not_asked() {
    let blocked = "[[registry]]\nlocation = \"@O@/foo\"\nblocked = true\ninsecure = true\n\
        [[registry]]\nlocation = \"@O@/bar\"\ninsecure = true\n";
    agree(&["O"], blocked, "@O@/foo/app:v1", false, &[]).await;
    agree(&["O"], blocked, "@O@/bar/app:v1", true, &["O bar/app v1"]).await;
    let mirror = format!(
        "{}[[registry]]\nlocation = \"@M1@\"\nblocked = true\ninsecure = true\n",
        conf("example.com/foo", "", "", "")
    );
    agree(&["M1", "M2"], &mirror, "example.com/foo/app:v1", true, &["M2 m2/deep/app v1"]).await;
    // The manual forbids names that match; skopeo looks at the places that they lead to alone, and asks the mirrors.
    let stage = Stage::new(&["M1"]);
    let file = stage.dir.path().join("registries.conf");
    fs::write(&file, stage.fill(&conf("example.com/foo", "blocked = true", "", ""))).unwrap();
    assert_eq!(stage.gantri(&file, "example.com/foo/app:v1").await, (false, Vec::new()));
    let behind = "[[registry]]\nprefix = \"example.com\"\nlocation = \"@O@\"\ninsecure = true\n\
        [[registry]]\nprefix = \"@O@\"\nlocation = \"@O@\"\nblocked = true\ninsecure = true\n";
    // They refuse the file, in which two tables say different things of one location; we refuse the name.
    let stage = Stage::new(&["O"]);
    let file = stage.dir.path().join("registries.conf");
    fs::write(&file, stage.fill(behind)).unwrap();
    assert_eq!(stage.skopeo(&file, "example.com/app:v1"), (false, Vec::new()));
    assert_eq!(stage.gantri(&file, "example.com/app:v1").await, (false, Vec::new()));
}

#[tokio::test]
async fn what_never_holds_with_them_does_not_with_us() {
    let tagged = format!(
        "[[registry]]\nprefix = \"example.com/foo/app:v1\"\nlocation = \"@M2@/x/app:v1\"\ninsecure = true\n{}",
        conf("example.com/foo", "", "", "")
    );
    agree(&["M1"], &tagged, "example.com/foo/app:v1", true, &["M1 m1/app v1"]).await;
    let twice = format!(
        "{}[[registry]]\nprefix = \"example.com/foo\"\nlocation = \"@M2@\"\ninsecure = true\n",
        conf("example.com/foo", "", "", "")
    );
    agree(&["M1"], &twice, "example.com/foo/app:v1", true, &["M1 m1/app v1"]).await;
}

/// A file that one of the two can't understand, the other can't either.
#[tokio::test]
async fn what_they_refuse_to_read_we_refuse() {
    let cases = [
        "[[registry]]\nlocation = \"https://example.com\"\n",
        "[[registry]]\ninsecure = true\n",
        "[[registry]]\nprefix = \"example.com/foo\"\n",
        "[[registry]]\nlocation = \"example.com\"\npull-from-mirror = \"all\"\n",
        "[[registry]]\nlocation = \"example.com\"\n[[registry.mirror]]\ninsecure = true\n",
        "[[registry]]\nlocation = \"example.com\"\n[[registry.mirror]]\nlocation = \"m.com\"\npull-from-mirror = \"some\"\n",
        "[[registry]]\nprefix = \"*.example.com/foo\"\nlocation = \"@O@\"\n",
        "short-name-mode = \"ask\"\n",
        "[aliases]\n\"image\" = \"registry.com/image:tag\"\n",
        "[[registry]]\nlocation = 3\n",
    ];
    for conf in cases {
        agree(&["O"], conf, "@O@/app:v1", false, &[]).await;
    }
}
