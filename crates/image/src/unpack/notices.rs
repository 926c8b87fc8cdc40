//! What could not be restored: each kind once, with how often and where first.

use std::collections::BTreeMap;

use super::path::shown;

/// A kind of loss that does not fail an unpack.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Loss {
    Owner,
    SetId,
    Device,
    LinkToDevice,
    Xattr,
    OverlayXattr,
}

#[derive(Default)]
pub(super) struct Notices(BTreeMap<Loss, (u64, Vec<u8>)>);

impl Notices {
    pub(super) fn note(&mut self, loss: Loss, path: &[u8]) {
        self.0.entry(loss).or_insert_with(|| (0, path.to_vec())).0 += 1;
    }

    /// One line a kind.
    pub(super) fn into_lines(self) -> Vec<String> {
        self.0.into_iter().map(|(loss, (count, first))| line(loss, count, &first)).collect()
    }
}

fn line(loss: Loss, count: u64, first: &[u8]) -> String {
    let what = match loss {
        Loss::Owner => "owners not restored, which takes root",
        Loss::SetId => "setuid and setgid bits left out where the owner could not be given",
        Loss::Device => "devices not made, which takes root",
        Loss::LinkToDevice => "hard links to such devices not made",
        Loss::Xattr => "entries with extended attributes that this user or file system does not take",
        Loss::OverlayXattr => "entries with `user.overlay.` attributes, which were left out",
    };
    let first = if first.is_empty() { "\"/\"".to_owned() } else { shown(first) };
    format!("{what}: {count} (first: {first})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_once_with_count_and_first_path() {
        let mut notices = Notices::default();
        notices.note(Loss::Device, b"dev/null");
        notices.note(Loss::Owner, b"");
        notices.note(Loss::Device, b"dev/zero");
        assert_eq!(
            notices.into_lines(),
            [
                "owners not restored, which takes root: 1 (first: \"/\")",
                "devices not made, which takes root: 2 (first: \"dev/null\")",
            ]
        );
    }
}
