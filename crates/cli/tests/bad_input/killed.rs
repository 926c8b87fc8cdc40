//! A copy that is killed at any moment, and run again: at no moment is anything under its name that is not whole, and the
//! next run completes what the last began.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use test_support::image::Layer;
use test_support::{Body, Image, Reply, Request, Scene, ScriptedServer, Tar};

use crate::copies::Embedded;
use crate::{noise, scene};

/// Layers of the image; with manifest and config it is asked for two things more.
const LAYERS: usize = 3;
/// Bytes of one, more than any buffer on its way.
const SIZE: usize = 300_000;
/// Longer than it takes to get anywhere.
const LONG: Duration = Duration::from_secs(60);

fn image() -> Image {
    let layer = |at: usize| {
        let archive = Tar::new().file(&format!("file{at}"), noise(SIZE + at)).finish();
        Layer::packed(gantri::spec::MediaType::OCI_LAYER, &archive, archive.clone())
    };
    Image::of_layers(&(0..LAYERS).map(layer).collect::<Vec<_>>())
}

/// Where a copy is when it is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// It asks for the nth thing, and gets no answer.
    Asking(usize),
    /// It asks for the nth thing, and gets this part of it, in percent.
    Receiving(usize, usize),
}

/// An honest source, but that it holds its breath at the moment, and says that it is reached.
fn source(moment: Moment) -> (ScriptedServer, Receiver<()>) {
    let (tell, reached) = channel();
    let told = Arc::new(Mutex::new((0, tell)));
    let server = image().serve(move |image, request| twist(image, request, moment, &told));
    (server, reached)
}

fn twist(image: &Image, request: &Request, moment: Moment, told: &Mutex<(usize, Sender<()>)>) -> Option<Reply> {
    let mut told = told.lock().unwrap();
    told.0 += 1;
    let (Moment::Asking(nth) | Moment::Receiving(nth, _)) = moment;
    if told.0 != nth {
        return None;
    }
    // Nobody may listen any more.
    let _ = told.1.send(());
    let name = request.target.rsplit('/').next().unwrap_or_default();
    let whole = match name.parse::<gantri::Digest>().ok().and_then(|digest| image.blobs.get(&digest)) {
        Some(blob) => blob.clone(),
        None => image.manifest.bytes().clone(),
    };
    let sent = match moment {
        Moment::Asking(_) => 0,
        Moment::Receiving(_, part) => whole.len() * part / 100,
    };
    Some(Reply::new(200).body(Body::Stall(whole, sent)))
}

/// Kills a copy at each moment, each to a place of its own, looks, and runs it again.
fn killed_and_run_again(scene: &Scene, target: impl Fn(usize) -> String) {
    let asking = (1..=LAYERS + 2).map(Moment::Asking);
    let receiving = (2..=LAYERS + 2).flat_map(|nth| [Moment::Receiving(nth, 50), Moment::Receiving(nth, 99)]);
    let moments: Vec<Moment> = asking.chain(receiving).collect();
    assert!(moments.len() >= 12);
    let honest = image().serve(|_, _| None);
    for (number, moment) in moments.into_iter().enumerate() {
        let place = target(number);
        let (server, reached) = source(moment);
        let running = scene.start(["copy", &format!("{}/app:v1", server.host()), &place, "--jobs", "1"]);
        reached.recv_timeout(LONG).unwrap_or_else(|_| panic!("{moment:?} never came"));
        if let Moment::Receiving(..) = moment {
            server.wait_for_stall();
        }
        assert_eq!(running.kill().code, None);
        let tags = scene.run(["tags", place.rsplit_once(':').unwrap().0]);
        assert_eq!(tags.stdout, "", "{moment:?}");
        let ran = scene.run(["copy", &format!("{}/app:v1", honest.host()), &place]);
        assert_eq!(ran.code, Some(0), "{moment:?}: {ran:?}");
        let ran = scene.run(["unpack", &place, "root"]);
        assert_eq!(ran.code, Some(0), "{moment:?}: {ran:?}");
        std::fs::remove_dir_all(scene.path("root")).unwrap();
    }
}

#[test]
fn a_copy_to_a_registry_that_is_killed_at_any_moment_completes_the_next_time() {
    let (scene, target) = (scene(), Embedded::new());
    killed_and_run_again(&scene, |number| format!("{}/to{number}:v1", target.host));
}

#[test]
fn a_copy_to_a_layout_that_is_killed_at_any_moment_completes_the_next_time() {
    let scene = scene();
    killed_and_run_again(&scene, |number| format!("oci:layout{number}:v1"));
    nothing_is_left_over(&scene);
}

#[test]
fn a_copy_to_an_archive_that_is_killed_at_any_moment_completes_the_next_time() {
    let scene = scene();
    killed_and_run_again(&scene, |number| format!("oci-archive:file{number}.tar:v1"));
    nothing_is_left_over(&scene);
}

/// What the killed left behind, the next run has swept away.
fn nothing_is_left_over(scene: &Scene) {
    let names = scene.trace().into_names();
    assert!(!names.iter().any(|name| name.contains(".gantri")), "{names:#?}");
}
