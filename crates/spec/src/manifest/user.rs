//! Who a container runs as, read strictly: what is no such thing is an error, and never somebody else (M16).
//!
//! A number past the end wraps round to root in a careless reader (CVE-2024-40635), and a name that is no number counts as
//! zero in another (CVE-2026-46680).

use std::fmt;
use std::str::FromStr;

use crate::text::{Fault, invalid, text_form};

/// The user that a config names: `user`, `uid`, `user:group`, `uid:gid` and so on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct User {
    /// Who it is.
    pub user: Principal,
    /// The group, if one is named.
    pub group: Option<Principal>,
}

/// A user or a group, by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Principal {
    /// By number, from 0 to 2^31 - 1.
    Id(u32),
    /// By a name that the image's own `passwd` or `group` has to know.
    Name(String),
}

text_form!(User, InvalidUser);

impl FromStr for User {
    type Err = InvalidUser;

    fn from_str(text: &str) -> Result<Self, InvalidUser> {
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let read = || {
            let group = group.map(|group| principal(group).map_err(|fault| fault.shifted(user.len() + 1)));
            Ok(Self { user: principal(user)?, group: group.transpose()? })
        };
        read().map_err(|fault| InvalidUser::new(text, fault))
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(group) => write!(f, "{}:{group}", self.user),
            None => self.user.fmt(f),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

fn principal(text: &str) -> Result<Principal, Fault> {
    let Some(first) = text.bytes().next() else { return Err(Fault::at(0, "a user or group is not empty")) };
    if first.is_ascii_digit() {
        if let Some(offset) = text.bytes().position(|byte| !byte.is_ascii_digit()) {
            return Err(Fault::at(offset, "what begins with a digit is a number"));
        }
        let id = text.parse().ok().filter(|id| *id <= MAX_ID);
        return id.map(Principal::Id).ok_or_else(|| Fault::at(0, "a number is at most 2147483647"));
    }
    let bad = |(offset, byte): (usize, u8)| match byte {
        b'-' => offset == 0,
        b'.' | b'_' => false,
        // Samba's machines end so.
        b'$' => offset + 1 != text.len(),
        _ => !byte.is_ascii_alphanumeric(),
    };
    match text.bytes().enumerate().position(bad) {
        Some(offset) => Err(Fault::at(offset, "a name is [A-Za-z_.][A-Za-z0-9_.-]*")),
        None => Ok(Principal::Name(text.to_owned())),
    }
}

invalid! {
    /// A text that names no user.
    InvalidUser, "user"
}

/// Where kernels and tools that count in `int` still agree.
const MAX_ID: u32 = i32::MAX as u32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m16_a_user_is_read_as_it_is_written() {
        let id = Principal::Id;
        let name = |text: &str| Principal::Name(text.to_owned());
        for (text, user, group) in [
            ("0", id(0), None),
            ("2147483647", id(2_147_483_647), None),
            ("1000:1001", id(1000), Some(id(1001))),
            ("www-data", name("www-data"), None),
            ("_apt:0", name("_apt"), Some(id(0))),
            ("machine$:staff", name("machine$"), Some(name("staff"))),
        ] {
            let read: User = text.parse().unwrap();
            assert_eq!((&read.user, &read.group), (&user, &group), "{text}");
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn m16_a_user_that_could_be_taken_for_another_is_refused() {
        for (text, offset) in [
            ("", 0),
            (":", 0),
            ("0:", 2),
            (":0", 0),
            ("2147483648", 0),
            ("4294967296", 0),
            ("18446744073709551616", 0),
            ("1000:4294967296", 5),
            ("-1", 0),
            ("+0", 0),
            (" 0", 0),
            ("0x0", 1),
            ("0 ", 1),
            ("1e3", 1),
            ("0:0:0", 3),
            ("root\n", 4),
            ("../root", 2),
            ("a/b", 1),
            ("ro$ot", 2),
            ("r\u{f6}\u{f6}t", 1),
            ("\u{661}", 0),
            ("root\0", 4),
        ] {
            let error = text.parse::<User>().unwrap_err().to_string();
            assert!(error.ends_with(&format!("(at byte {offset})")), "{text:?}: {error}");
        }
    }
}
