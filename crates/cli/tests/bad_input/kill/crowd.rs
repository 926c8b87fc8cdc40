//! Many processes that pull overlapping images into one store at once, some of them killed (S3, S4).

use std::thread;
use std::time::{Duration, Instant};

use gantri::Memory;
use test_support::{Image, Running, Scene};
use tokio::runtime::Runtime;

use super::{collect, layer, layout_is_whole, publish, variable};
use crate::copies::Embedded;
use crate::link::Dice;
use crate::scene;

const PROCESSES: u64 = 16;
const IMAGES: u64 = 20;
/// Layers that the images have among them; each has three.
const LAYERS: u64 = 8;

/// Starts all of them; every third is killed at a moment of its own, within the time that they take if nobody is: of the
/// first ones, which show it, none. How many were.
fn pull_at_once(scene: &Scene, source: &str, dice: &mut Dice, takes: Option<Duration>) -> usize {
    let running: Vec<(Option<Duration>, Running)> = (0..PROCESSES)
        .map(|number| {
            let moment = takes.map(|takes| takes * u32::try_from(dice.below(1000)).unwrap() / 1000);
            let running = scene.start(["copy", "--all-tags", source, "oci:crowd"]);
            (moment.filter(|_| number % 3 == 0), running)
        })
        .collect();
    let ends: Vec<_> = running
        .into_iter()
        .map(|(moment, mut running)| {
            thread::spawn(move || match moment.map(|moment| running.ended_within(moment)) {
                None => running.end(),
                Some(Some(ran)) => ran,
                Some(None) => running.kill(),
            })
        })
        .collect();
    let ends: Vec<_> = ends.into_iter().map(|end| end.join().unwrap()).collect();
    for ran in &ends {
        assert!(matches!(ran.code, None | Some(0)), "{ran:?}");
    }
    ends.iter().filter(|ran| ran.code.is_none()).count()
}

#[test]
fn s3_processes_that_pull_into_one_store_at_once_some_of_them_killed_harm_nothing() {
    let rounds: u64 = variable("GANTRI_TEST_KILLS").map_or(2, |kills| (kills.parse::<u64>().unwrap() / 20).max(2));
    let (registry, scene) = (Memory::new(), scene());
    let layers: Vec<_> = (0..LAYERS).map(|number| layer(number, 1_200_000)).collect();
    Runtime::new().unwrap().block_on(async {
        for image in 0..IMAGES {
            let of = [image, image + 1, image + 3].map(|at| layers[usize::try_from(at % LAYERS).unwrap()].clone());
            let mut of = of.to_vec();
            of.push(layer(100 + image, 1_000));
            publish(&registry, "app", &format!("v{image}"), &Image::of_layers(&of)).await;
        }
    });
    let served = Embedded::of(registry);
    let source = format!("{}/app", served.host);
    let mut dice = Dice::new(5);
    let mut killed = 0;
    let begun = Instant::now();
    pull_at_once(&scene, &source, &mut dice, None);
    let takes = begun.elapsed();
    std::fs::remove_dir_all(scene.path("crowd")).unwrap();
    for round in 0..rounds {
        killed += pull_at_once(&scene, &source, &mut dice, Some(takes));
        layout_is_whole(&scene.path("crowd"));
        let ran = scene.run(["copy", "--all-tags", &source, "oci:crowd"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let tags = layout_is_whole(&scene.path("crowd"));
        let expected = usize::try_from(IMAGES).unwrap();
        assert_eq!(tags.iter().filter(|tag| tag.starts_with('v')).count(), expected, "round {round}: {tags:?}");
        collect(&scene.path("crowd"), "none");
        std::fs::remove_dir_all(scene.path("crowd")).unwrap();
    }
    println!("{rounds} rounds of {PROCESSES} processes and {IMAGES} images, {killed} killed: all whole");
    assert!(killed > 0);
}
