//! `quickstart`: the README's first command.

use std::fs;
use std::path::{Path, PathBuf};

use test_support::Ran;

use crate::{scene, trees};

/// The tree that it says it has left.
fn tree(ran: &Ran) -> PathBuf {
    let told = ran.stdout.lines().find_map(|line| Some(line.rsplit_once("the tree is in ")?.1));
    PathBuf::from(told.unwrap())
}

#[test]
fn it_prints_each_step_and_leaves_the_tree_where_it_says() {
    let scene = scene();
    trees(&scene);
    let ran = scene.run(["quickstart", "base", "app"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    let place = tree(&ran).parent().unwrap().display().to_string();
    let printed = test_support::mask::mask(&ran.stdout.replace(&place, "PLACE"));
    let expected = "
# a registry in memory, on a free loopback port
$ gantri serve --listen HOST

# directories as the layers of an image
$ gantri build oci:PLACE/made:v1 base app
D1 with 2 layers

# to the registry
$ gantri push oci:PLACE/made:v1 HOST/quickstart/app:v1

# what it has
$ gantri tags HOST/quickstart/app
v1

# back, into an image layout
$ gantri pull HOST/quickstart/app:v1 oci:PLACE/pulled:v1
D1, every byte verified

# to a root file system
$ gantri unpack HOST/quickstart/app:v1 PLACE/rootfs
4 entries, 16 bytes

checked 2 files, all as they were; the tree is in PLACE/tree
to do it by hand, let the first line, gantri serve, run beside the others; PLACE may be removed when you like
";
    assert_eq!(printed, expected);
    assert_eq!(fs::read_to_string(tree(&ran).join("etc/motd")).unwrap(), "hello\n");
}

#[test]
fn a_second_run_works_as_well_as_the_first() {
    let scene = scene();
    trees(&scene);
    let [first, second] = [(); 2].map(|()| scene.run(["quickstart", "base", "app"]));
    assert_eq!((first.code, second.code), (Some(0), Some(0)), "{second:?}");
    assert_ne!(tree(&first), tree(&second));
    assert!(tree(&first).is_dir() && tree(&second).is_dir());
}

/// What the README's first line does, run from where it says.
#[test]
fn it_packs_two_directories_of_the_repository_unless_told_others() {
    let scene = scene();
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let ran: Ran = scene.command(["quickstart"]).current_dir(top).output().unwrap().into();
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(tree(&ran).join("unpack.rs").is_file(), "{}", ran.stdout);
}

#[test]
fn a_directory_that_is_not_there_is_told_before_anything_is_done() {
    scene().refuses(["quickstart", "absent"]).is(
        2,
        "quickstart: absent is no directory",
        "run it from the top of the repository, or name the directories to pack",
    );
}
