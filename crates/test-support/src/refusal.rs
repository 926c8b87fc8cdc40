//! What a command owes whoever gave it bad input: one line, at most one hint, the right exit code, and no trace on disk.

use std::ffi::OsStr;

use crate::mask::mask;
use crate::process::{Ran, Scene};

/// How a command refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The exit code.
    pub code: i32,
    /// The line behind `error: `.
    pub error: String,
    /// The line behind `hint: `.
    pub hint: Option<String>,
}

impl Refusal {
    /// Reads it from what a run printed.
    ///
    /// # Panics
    /// If the run ended well, was killed, printed on standard output, or said anything on standard error but one line
    /// of error and one hint.
    pub fn of(ran: &Ran) -> Self {
        let code = ran.code.unwrap_or_else(|| panic!("killed by a signal: {ran:?}"));
        assert_ne!(code, 0, "it ended well: {ran:?}");
        assert_eq!(ran.stdout, "", "on standard output, beside: {}", ran.stderr);
        let text = ran.stderr.strip_suffix('\n').unwrap_or_else(|| panic!("no whole line: {ran:?}"));
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "a terminal would obey: {text:?}");
        let (error, hint) = text.split_once('\n').map_or((text, None), |(error, rest)| (error, Some(rest)));
        let error = error.strip_prefix("error: ").unwrap_or_else(|| panic!("no error line: {text}"));
        let hint = hint.map(|hint| match hint.strip_prefix("hint: ") {
            Some(hint) if !hint.contains('\n') => hint.to_owned(),
            _ => panic!("more than one error and one hint:\n{text}"),
        });
        Self { code, error: error.to_owned(), hint }
    }

    /// Holds it against what is documented, both [masked](mask()); `hint` is empty where none is given.
    ///
    /// # Panics
    /// If it differs.
    #[track_caller]
    pub fn is(&self, code: i32, error: &str, hint: &str) {
        let told = Self { code: self.code, error: mask(&self.error), hint: self.hint.as_deref().map(mask) };
        let hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
        assert_eq!(told, Self { code, error: error.to_owned(), hint });
    }

    /// As [`is`](Self::is), for an error that ends with a number that nobody can foresee; there is no hint.
    ///
    /// # Panics
    /// If it differs.
    #[track_caller]
    pub fn is_like(&self, code: i32, start: &str, end: &str) {
        let told = mask(&self.error);
        assert!(told.starts_with(start) && told.ends_with(end), "{told:?} is not {start:?} ... {end:?}");
        assert_eq!((self.code, &self.hint), (code, &None));
    }
}

impl Scene {
    /// How a run in this place refused; the place itself is called `PLACE`.
    ///
    /// # Panics
    /// As [`Refusal::of`].
    pub fn refusal(&self, ran: &Ran) -> Refusal {
        let refusal = Refusal::of(ran);
        Refusal { error: refusal.error.replace(&self.place(), "PLACE"), ..refusal }
    }

    /// Runs the program, which must refuse and leave everything as it was.
    ///
    /// # Panics
    /// If it does not.
    pub fn refuses(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Refusal {
        let before = self.trace();
        let refusal = self.refusal(&self.run(arguments));
        assert_eq!(self.trace(), before, "{refusal:?}");
        refusal
    }
}
