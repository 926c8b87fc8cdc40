//! What is said while a job runs, where standard error is no terminal: nothing, until it takes its time.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use test_support::{Image, Tar};

use crate::{prints, said, scene};

#[test]
fn a_job_that_is_quickly_done_says_nothing() {
    let scene = scene();
    let server = Image::of(&[Tar::new().file("a", vec![b'x'; 1 << 20]).finish()]).serve(|_, _| None);
    assert_eq!(prints(&scene, &["unpack", &format!("{}/app:v1", server.host()), "rootfs"]), "D1\n");
}

/// What could not be restored is said once, and kept quiet on demand.
#[test]
fn a_notice_is_one_line() {
    let scene = scene();
    let overlay = Tar::new().pax("SCHILY.xattr.user.overlay.opaque", "y").file("a", "x").finish();
    let server = Image::of(&[overlay]).serve(|_, _| None);
    let image = format!("{}/app:v1", server.host());
    let ran = scene.run(["unpack", &image, "loud"]);
    assert_eq!(ran.code, Some(0));
    let said = said(&ran.stderr);
    assert!(said.starts_with("note: ") && said.lines().count() == 1, "{:?}", ran.stderr);
    prints(&scene, &["unpack", &image, "quiet", "--quiet"]);
}

/// A layer that takes longer than the time between two lines is reported on, line by line.
#[test]
fn a_job_that_takes_its_time_says_so_now_and_then() {
    let scene = scene();
    let (go_on, told) = channel::<()>();
    let told = Mutex::new(told);
    let archives = ["a", "b"].map(|name| Tar::new().file(name, "x").finish());
    let image = Image::of(&archives);
    let slow = image.parsed.layers[1].digest.to_string();
    let server = image.serve(move |_, request| {
        if request.target.ends_with(&slow) {
            // Nobody ever says so: this is how long the line is waited for.
            let _ = told.lock().unwrap().recv_timeout(Duration::from_millis(3500));
        }
        None
    });
    let ran = scene.run(["unpack", &format!("{}/app:v1", server.host()), "rootfs"]);
    drop(go_on);
    assert_eq!(ran.code, Some(0));
    let said = said(&ran.stderr);
    assert!(!said.is_empty());
    assert!(said.lines().all(|line| line.starts_with("0 of 0 MiB, ") && line.ends_with(" blobs")), "{ran:?}");
}
