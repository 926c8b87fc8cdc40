//! Random layer stacks against the rules in memory (T11, T12): the model is `test_support::layers`.

use gantri_core::ErrorKind;
use proptest::prelude::*;
use proptest::sample::select;
use test_support::layers::{Entry, MODES, NAMES, PARENTS, PATHS, TARGETS, archive, expected, on_disk};

use super::sandbox::{RESOLVERS, Sandbox};

fn entry() -> impl Strategy<Value = Entry> {
    let (path, mode) = (|| select(&PATHS[..]), || select(&MODES[..]));
    prop_oneof![
        4 => (path(), any::<u8>(), mode()).prop_map(|(path, contents, mode)| Entry::File { path, contents, mode }),
        4 => (path(), mode()).prop_map(|(path, mode)| Entry::Directory { path, mode }),
        2 => (path(), select(&TARGETS[..])).prop_map(|(path, target)| Entry::Symlink { path, target }),
        2 => (path(), path()).prop_map(|(path, target)| Entry::HardLink { path, target }),
        2 => (select(&PARENTS[..]), select(&NAMES[..])).prop_map(|(parent, name)| Entry::Whiteout { parent, name }),
        2 => select(&PARENTS[..]).prop_map(|parent| Entry::Opaque { parent }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn layers_end_as_the_rules_say(stack in prop::collection::vec(prop::collection::vec(entry(), 0..12), 1..4)) {
        let expected = expected(&stack);
        let layers: Vec<Vec<u8>> = stack.iter().map(|layer| archive(layer)).collect();
        for resolver in RESOLVERS {
            let sandbox = Sandbox::new(resolver);
            let before = sandbox.neighbours();
            match (&expected, sandbox.unpack(&layers)) {
                (Ok(expected), Ok(_)) => prop_assert_eq!(&on_disk(&sandbox.root()), expected),
                (Err(_), Err(error)) => prop_assert_eq!(error.kind(), ErrorKind::LayerInvalid, "{}", error),
                (Ok(_), Err(error)) => prop_assert!(false, "was refused: {}", error),
                (Err(_), Ok(_)) => prop_assert!(false, "was taken"),
            }
            prop_assert_eq!(sandbox.neighbours(), before);
        }
    }
}
