//! Many processes at one layout, some of them killed (S3): no tag that was acknowledged is lost, the index is whole at
//! every moment, and a lock that a dead process held blocks nobody.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use futures_util::TryStreamExt;
use gantri_core::spec::Tag;
use gantri_core::{Discover, Pull};
use gantri_store::Layout;

use super::common::{at, blob, here, layout, leftovers, put_image, read, variable};

/// A process that puts images, one after the other, and says so.
struct Putter {
    number: usize,
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Putter {
    fn start(dir: &Path, number: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "crowd::child_puts", "--nocapture"]).env(DIR, dir).env(NUMBER, number.to_string());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { number, child, said }
    }

    /// The tags that it says it has put, until it ends, and whether it was killed: while it works on the one after so many,
    /// if it is not faster.
    fn watch(mut self, killed_after: Option<usize>) -> (Vec<String>, bool) {
        let mut put = Vec::new();
        let mut line = String::new();
        loop {
            if killed_after == Some(put.len()) {
                self.child.kill().unwrap();
            }
            line.clear();
            if self.said.read_line(&mut line).unwrap() == 0 {
                break;
            }
            // What was under way when it was killed may be half a line.
            if let Some(name) = line.strip_prefix(SAYS).and_then(|rest| rest.strip_suffix('\n')) {
                put.push(name.to_owned());
            }
        }
        let ended = self.child.wait().unwrap();
        assert!(ended.success() || killed_after.is_some(), "process {}: {ended}", self.number);
        (put, ended.signal().is_some())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_sixty_four_processes_some_of_them_killed_lose_nothing() {
    let (layout, dir) = layout().await;
    let putters: Vec<Putter> = (0..PROCESSES).map(|number| Putter::start(dir.path(), number)).collect();
    let watchers: Vec<_> = putters
        .into_iter()
        .map(|putter| {
            let killed_after = (putter.number % 4 == 0).then_some(putter.number / 4 % IMAGES);
            thread::spawn(move || putter.watch(killed_after))
        })
        .collect();
    while !watchers.iter().all(thread::JoinHandle::is_finished) {
        // A torn index would be an error, and so would a tag whose manifest is not there.
        for tag in tags(&layout).await.iter().rev().take(3) {
            layout.manifest(&here(), &at(tag)).await.unwrap();
        }
    }
    let ends: Vec<_> = watchers.into_iter().map(|watcher| watcher.join().unwrap()).collect();
    assert!(ends.iter().any(|(_, was_killed)| *was_killed));
    let put: Vec<String> = ends.into_iter().flat_map(|(put, _)| put).collect();
    assert!(put.len() >= PROCESSES * 3 / 4 * IMAGES, "{} were put", put.len());
    let there = tags(&layout).await;
    for name in &put {
        assert!(there.contains(name), "{name} is lost");
    }
    for name in &there {
        layout.manifest(&here(), &at(name)).await.unwrap();
        assert_eq!(read(&layout, &blob(name.as_bytes()).digest).await.unwrap(), name.as_bytes());
    }
    put_image(&layout, &here(), "after", &["after"]).await.unwrap();
    assert_eq!(leftovers(dir.path()), [""; 0], "the next write sweeps up after the dead");
}

#[tokio::test]
async fn child_puts() {
    let (Some(dir), Some(number)) = (variable(DIR), variable(NUMBER)) else { return };
    let layout = Layout::open(Path::new(&dir)).await.unwrap();
    for image in 0..IMAGES {
        let name = format!("p{number}-{image}");
        put_image(&layout, &here(), &name, &[&name]).await.unwrap();
        // In one piece, on a line of its own: the harness writes there too.
        std::io::stdout().write_all(format!("\n{SAYS}{name}\n").as_bytes()).unwrap();
    }
}

async fn tags(layout: &Layout) -> Vec<String> {
    layout.tags(&here(), None).map_ok(|tag: Tag| tag.to_string()).try_collect().await.unwrap()
}

const PROCESSES: usize = 64;
const IMAGES: usize = 4;
const SAYS: &str = "put ";
const DIR: &str = "GANTRI_TEST_CROWD";
const NUMBER: &str = "GANTRI_TEST_CROWD_NUMBER";
