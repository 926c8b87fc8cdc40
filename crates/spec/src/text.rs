//! What every type with a text form shares: the shape of its error, and its trait impls.
//!
//! A grammar is a function `&str -> Result<_, Fault>`; [`invalid!`] makes the public error of a type out of a fault and
//! the input it was found in, [`text_form!`] the conversions. The grammars themselves live with their types.

use std::fmt;

/// Where a text breaks which rule of its grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Byte offset of the first bad byte; the length of the input if something is missing at its end.
    pub(crate) offset: usize,
    pub(crate) rule: &'static str,
    /// What was probably meant.
    pub(crate) hint: Option<String>,
}

impl Fault {
    pub(crate) fn at(offset: usize, rule: &'static str) -> Self {
        Self { offset, rule, hint: None }
    }

    /// The same fault, seen from a text in which the faulty part starts at `base`.
    pub(crate) fn shifted(mut self, base: usize) -> Self {
        self.offset += base;
        self
    }

    pub(crate) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

/// The body of every `Invalid*` error: a fault and the (cut) input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    pub(crate) input: String,
    pub(crate) fault: Fault,
}

impl Invalid {
    pub(crate) fn new(input: &str, fault: Fault) -> Self {
        Self { input: cut(input), fault }
    }

    /// Input and hint are printed escaped: they may hold terminal controls (M15).
    pub(crate) fn print(&self, noun: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { offset, rule, hint } = &self.fault;
        write!(f, "{noun} {:?}: {rule} (at byte {offset})", self.input)?;
        match hint {
            Some(hint) => write!(f, "; did you mean {:?}?", cut(hint)),
            None => Ok(()),
        }
    }
}

/// The first 100 bytes, at most, of a text that may be hostile.
pub(crate) fn cut(input: &str) -> String {
    let mut end = input.len().min(INPUT_SHOWN);
    while !input.is_char_boundary(end) {
        end -= 1;
    }
    input[..end].to_owned()
}

/// Bytes of a refused input that an error repeats.
const INPUT_SHOWN: usize = 100;

/// Declares the public error of a grammar.
macro_rules! invalid {
    ($(#[$doc:meta])* $name:ident, $noun:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(Box<crate::text::Invalid>);

        impl $name {
            pub(crate) fn new(input: &str, fault: crate::text::Fault) -> Self {
                Self(Box::new(crate::text::Invalid::new(input, fault)))
            }

            /// Gives the refused input, cut at 100 bytes.
            pub fn input(&self) -> &str {
                &self.0.input
            }

            /// Gives the offset in bytes of the first bad byte of the input.
            pub fn offset(&self) -> usize {
                self.0.fault.offset
            }

            /// Gives the rule that the input breaks.
            pub fn rule(&self) -> &'static str {
                self.0.fault.rule
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.print($noun, f)
            }
        }

        impl std::error::Error for $name {}
    };
}

/// Gives a type with `FromStr` and `Display` the conversions and serde impls of its text form.
macro_rules! text_form {
    ($name:ident, $error:ident) => {
        impl TryFrom<&str> for $name {
            type Error = $error;

            fn try_from(text: &str) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// Gives a newtype over a checked string `as_str`, `AsRef<str>` and `Display`.
macro_rules! checked_str {
    ($name:ident) => {
        impl $name {
            /// Gives the canonical text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

pub(crate) use {checked_str, invalid, text_form};
