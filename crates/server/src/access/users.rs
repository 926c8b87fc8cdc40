//! The users of an htpasswd file, and whether a password is theirs.
//!
//! Only bcrypt is understood: the other forms of such files can be guessed by the billion. Checking it takes long on
//! purpose, so it is done off the reactor, a few at a time, and a password that was right is remembered by a keyed digest.
//! Who is not in the file takes as long to refuse as who is.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use bcrypt::HashParts;
use gantri_core::{Error, ErrorKind, Result};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use tokio::sync::Semaphore;

use super::Secret;
use super::key::Key;

/// The users that a server knows.
#[derive(Clone)]
pub struct Users(Arc<Inner>);

struct Inner {
    hashes: HashMap<String, String>,
    /// For each user, what their password was when it was last right.
    known: Mutex<HashMap<String, Vec<u8>>>,
    key: Key,
    checks: Semaphore,
}

impl Users {
    /// Reads the text of an htpasswd file: `name:hash` on each line, empty lines and those that begin with `#` apart.
    ///
    /// # Errors
    /// `Config` with the number of the line: no name, a name twice, a hash that is not bcrypt's, or one that takes longer to
    /// check than anybody would wait. The hash is not shown.
    pub fn parse(htpasswd: &str) -> Result<Self> {
        let mut hashes = HashMap::new();
        for (number, line) in htpasswd.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why: &str| Error::new(ErrorKind::Config, format!("users: line {}: {why}", number + 1));
            let (name, hash) = line.split_once(':').filter(|(name, _)| !name.is_empty()).ok_or_else(|| wrong(SHAPE))?;
            is_bcrypt(hash).map_err(wrong)?;
            if hashes.insert(name.to_owned(), hash.to_owned()).is_some() {
                return Err(wrong("a user who is there already"));
            }
        }
        let (key, checks) = (Key::random()?, Semaphore::new(CHECKS));
        Ok(Self(Arc::new(Inner { hashes, known: Mutex::default(), key, checks })))
    }

    /// Whether this is the password of this user.
    pub(super) async fn are(&self, user: &str, password: &Secret) -> bool {
        let Self(inner) = self;
        let mac = inner.mac(user, password);
        let known = inner.known.lock().unwrap_or_else(PoisonError::into_inner).get(user).cloned();
        if known.is_some_and(|known| mac.clone().verify_slice(&known).is_ok()) {
            return true;
        }
        let Ok(_place) = inner.checks.acquire().await else { return false };
        // Any hash will do for who is not there: what counts is the time.
        let hash = inner.hashes.get(user).or_else(|| inner.hashes.values().next());
        let (Some(hash), password) = (hash.cloned(), password.clone()) else { return false };
        let check = tokio::task::spawn_blocking(move || bcrypt::verify(password.reveal(), &hash).unwrap_or(false));
        let is_right = check.await.unwrap_or(false) && inner.hashes.contains_key(user);
        if is_right {
            let known = mac.finalize().into_bytes().to_vec();
            inner.known.lock().unwrap_or_else(PoisonError::into_inner).insert(user.to_owned(), known);
        }
        is_right
    }
}

impl Inner {
    /// A digest of the two that tells nothing without the key, which this process alone has.
    fn mac(&self, user: &str, password: &Secret) -> Hmac<Sha256> {
        // A name holds no colon, so no other pair reads the same.
        self.key.mac(user.as_bytes()).chain_update(":").chain_update(password.reveal())
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Users").field(&self.0.hashes.len()).finish()
    }
}

fn is_bcrypt(hash: &str) -> Result<(), &'static str> {
    let is_known = ["$2y$", "$2a$", "$2b$"].iter().any(|prefix| hash.starts_with(prefix));
    let parts = HashParts::from_str(hash).map_err(|_| KIND)?;
    match parts.get_cost() {
        _ if !is_known => Err(KIND),
        cost if cost > MOST_COST => Err("a hash that takes too long to check: its cost is over 15"),
        _ => Ok(()),
    }
}

const SHAPE: &str = "not NAME:HASH";
const KIND: &str = "not a bcrypt hash, the only kind that is understood (make one with `htpasswd -B`)";
/// Each step doubles the time: this is some two seconds.
const MOST_COST: u32 = 15;
/// Passwords checked at the same time, so that guessers can't have all cores.
const CHECKS: usize = 2;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file of users whose passwords are their names backwards, at the lowest cost.
    pub(in crate::access) fn users(names: &[&str]) -> Users {
        let line = |name: &&str| {
            let password: String = name.chars().rev().collect();
            format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap())
        };
        Users::parse(&names.iter().map(line).collect::<String>()).unwrap()
    }

    #[tokio::test]
    async fn a_password_is_right_or_wrong_the_second_time_too() {
        let users = users(&["ann", "bob"]);
        for _ in 0..2 {
            for (user, password, expected) in [
                ("ann", "nna", true),
                ("ann", "bob", false),
                ("bob", "nna", false),
                ("eve", "nna", false),
                ("", "", false),
            ] {
                assert_eq!(users.are(user, &password.into()).await, expected, "{user} {password}");
            }
        }
        assert!(!Users::parse("").unwrap().are("ann", &"".into()).await);
    }

    #[test]
    fn every_form_but_bcrypt_is_refused_with_its_line_and_without_its_hash() {
        let bcrypt = "$2y$05$FjCOX2PeCPQoE7FAgCI4JOtXxVEtNzKn2NuNqTpNdn.eEx5SpRqvC";
        let good = format!("# users\n\n  ann:{bcrypt}\nbob:{}\n", bcrypt.replacen("$2y$", "$2b$", 1));
        assert_eq!(format!("{:?}", Users::parse(&good).unwrap()), "Users(2)");
        let long = bcrypt.replacen("$05$", "$16$", 1);
        let cases = [
            "ann".to_owned(),
            format!(":{bcrypt}"),
            "ann:canary".to_owned(),
            "ann:$apr1$canary$canarycanary".to_owned(),
            "ann:{SHA}canary=".to_owned(),
            "ann:$6$canary$canary".to_owned(),
            format!("ann:{}", &bcrypt[..40]),
            format!("ann:{long}"),
            format!("bob:{bcrypt}"),
        ];
        for line in cases {
            let error = Users::parse(&format!("bob:{bcrypt}\n{line}")).unwrap_err();
            let told = error.to_string();
            assert!(error.kind() == ErrorKind::Config && told.contains("line 2"), "{told}");
            assert!(!told.contains("canary") && !told.contains("FjCOX2"), "{told}");
        }
    }
}
