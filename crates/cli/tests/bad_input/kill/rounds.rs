//! One command at a time, killed and run again.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use gantri::Memory;
use test_support::{Image, Running, Scene};
use tokio::runtime::Runtime;

use super::{collect, layer, layout_is_whole, publish, tags_are_whole, variable, withdraw};
use crate::copies::Embedded;
use crate::link::Dice;
use crate::scene;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Pull,
    Push,
    Copy,
    Unpack,
    Tag,
}

const KINDS: [Kind; 5] = [Kind::Pull, Kind::Push, Kind::Copy, Kind::Unpack, Kind::Tag];
/// Bytes of the layer that each round has for itself.
const SIZE: usize = 3 << 20;
/// The image that is always there.
const BASE: &str = "base";

/// One store, and a registry beside it.
struct World {
    scene: Scene,
    runtime: Runtime,
    registry: Memory,
    served: Embedded,
    base: Image,
    dice: Dice,
    /// How long each command takes if nobody kills it.
    takes: BTreeMap<Kind, Duration>,
    /// Kills of commands that were under way, and tries that came too late.
    kills: u64,
    missed: u64,
}

impl World {
    fn new() -> Self {
        let (registry, runtime, scene) = (Memory::new(), Runtime::new().unwrap(), scene());
        let base = Image::of_layers(&[layer(0, 500_000), layer(1, SIZE)]);
        runtime.block_on(publish(&registry, "app", BASE, &base));
        let served = Embedded::of(registry.clone());
        let dice = Dice::new(11);
        let world = Self { scene, runtime, registry, served, base, dice, takes: BTreeMap::new(), kills: 0, missed: 0 };
        let from = format!("{}/app:{BASE}", world.served.host);
        assert_eq!(world.scene.run(["pull", &from, &format!("oci:store:{BASE}")]).code, Some(0));
        world
    }

    /// Kills one command once, however many tries that takes, and looks.
    fn round(&mut self, kind: Kind, number: u64) {
        // Shares a layer with every other round.
        let image = Image::of_layers(&[layer(0, 500_000), layer(number + 2, SIZE)]);
        self.runtime.block_on(publish(&self.registry, "app", "round", &image));
        loop {
            let arguments = self.arguments(kind);
            let most = self.takes.get(&kind).copied();
            let moment = most.map(|most| most * u32::try_from(self.dice.below(1100)).unwrap() / 1000);
            let begun = Instant::now();
            let mut running = self.scene.start(&arguments);
            let killed = match running.ended_within(moment.unwrap_or(LONG)) {
                Some(ran) => {
                    assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
                    let took = begun.elapsed();
                    self.takes.entry(kind).and_modify(|most| *most = (*most * 3 + took) / 4).or_insert(took);
                    false
                }
                None => self.kill(running),
            };
            self.is_whole(kind, &arguments);
            // A tree that is there is whole, and is not unpacked once more.
            if killed && !(kind == Kind::Unpack && self.scene.path("root").exists()) {
                let ran = self.scene.run(&arguments);
                assert_eq!(ran.code, Some(0), "after a kill: {arguments:?}: {ran:?}");
            }
            self.is_done(kind, &image);
            self.clean(kind, &image);
            if killed {
                break;
            }
        }
        self.runtime.block_on(withdraw(&self.registry, "app", &image));
        self.runtime.block_on(publish(&self.registry, "app", BASE, &self.base));
    }

    fn kill(&mut self, running: Running) -> bool {
        let killed = running.kill().code.is_none();
        if killed {
            self.kills += 1;
        } else {
            self.missed += 1;
        }
        killed
    }

    fn arguments(&self, kind: Kind) -> Vec<String> {
        let host = &self.served.host;
        let words: [String; 3] = match kind {
            Kind::Pull => ["pull".into(), format!("{host}/app:round"), "oci:store:pulled".into()],
            Kind::Copy => ["copy".into(), format!("{host}/app:round"), "oci:store:copied".into()],
            Kind::Push => ["push".into(), format!("oci:store:{BASE}"), format!("{host}/pushed:v1")],
            Kind::Unpack => ["unpack".into(), format!("oci:store:{BASE}"), "root".into()],
            Kind::Tag => ["tag".into(), format!("oci:store:{BASE}"), "tagged".into()],
        };
        words.into()
    }

    /// Whatever was killed: what can be seen is whole.
    fn is_whole(&self, kind: Kind, arguments: &[String]) {
        let tags = layout_is_whole(&self.scene.path("store"));
        assert!(tags.contains(BASE), "{arguments:?}: {tags:?}");
        self.runtime.block_on(async {
            tags_are_whole(&self.registry, "pushed").await;
        });
        if kind == Kind::Unpack && self.scene.path("root").exists() {
            self.tree_is_whole();
        }
    }

    fn is_done(&self, kind: Kind, image: &Image) {
        let tags = layout_is_whole(&self.scene.path("store"));
        let is_there = |tag: &str| assert!(tags.contains(tag), "{tag} is not among {tags:?}");
        match kind {
            Kind::Pull => is_there("pulled"),
            Kind::Copy => is_there("copied"),
            Kind::Tag => is_there("tagged"),
            Kind::Unpack => self.tree_is_whole(),
            Kind::Push => {
                let pushed = self.runtime.block_on(tags_are_whole(&self.registry, "pushed"));
                assert!(pushed.contains("v1"), "{pushed:?}");
            }
        }
        let stored = self.scene.path("store/blobs/sha256").join(image.manifest.digest().encoded());
        assert_eq!(stored.exists(), matches!(kind, Kind::Pull | Kind::Copy), "{}", stored.display());
    }

    fn tree_is_whole(&self) {
        for number in [0, 1] {
            let archived = layer(number, if number == 0 { 500_000 } else { SIZE });
            let file = fs::read(self.scene.path("root/files").join(number.to_string())).unwrap();
            // The content follows its header of 512 bytes, and that of the directory.
            assert_eq!(file, archived.bytes[1024..1024 + file.len()], "files/{number}");
        }
    }

    fn clean(&self, kind: Kind, image: &Image) {
        match kind {
            Kind::Pull | Kind::Copy | Kind::Tag => collect(&self.scene.path("store"), BASE),
            Kind::Push => self.runtime.block_on(withdraw(&self.registry, "pushed", &self.base)),
            Kind::Unpack => fs::remove_dir_all(self.scene.path("root")).unwrap(),
        }
        let left: Vec<_> =
            fs::read_dir(self.scene.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["store"], "{kind:?} of {}", image.manifest.digest());
    }
}

#[test]
fn commands_killed_at_random_moments_leave_a_whole_store_and_the_next_run_ends_right() {
    let wanted: u64 = variable("GANTRI_TEST_KILLS").map_or(10, |kills| kills.parse().unwrap());
    let mut world = World::new();
    for number in 0..wanted * KINDS.len() as u64 {
        world.round(KINDS[usize::try_from(number).unwrap() % KINDS.len()], number);
    }
    println!("{} kills of {KINDS:?}: {} each, all whole; {} came too late", world.kills, wanted, world.missed);
    assert_eq!(world.kills, wanted * KINDS.len() as u64);
}

const LONG: Duration = Duration::from_secs(60);
