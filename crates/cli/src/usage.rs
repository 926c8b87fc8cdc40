//! A command line that can't be understood, told like every other error: one line, one hint, exit code 2.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;

use crate::args::Cli;
use crate::failure::one_line;

/// Prints help and version where they were asked for; else what is wrong with the command line.
pub(crate) fn end(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
    if is_help(error.kind()) {
        // Whoever closed the output does not want the help.
        let _ = error.print();
    } else {
        // Standard error may be closed; the exit code still tells.
        let _ = writeln!(std::io::stderr(), "{}", told(&error.render().to_string(), typed()));
    }
    code
}

/// What was typed, as far as it is text.
fn typed() -> impl Iterator<Item = String> {
    std::env::args_os().skip(1).filter_map(|argument| argument.into_string().ok())
}

fn is_help(kind: ErrorKind) -> bool {
    use ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    matches!(kind, DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand)
}

/// Clap's first paragraph is what is wrong; the first line of its usage is the hint, or the help of the command that was
/// typed.
fn told(text: &str, arguments: impl Iterator<Item = String>) -> String {
    let mut paragraphs = text.split("\n\n");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let error = words(paragraphs.next().unwrap_or_default());
    let usage = paragraphs.find_map(|text| text.strip_prefix("Usage: ")?.lines().next().map(words));
    let hint = usage.unwrap_or_else(|| format!("{} --help", command(arguments)));
    format!("{}\nhint: {}", one_line(&error), one_line(&hint))
}

/// The command, and the command within it, that these arguments name.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let root = Cli::command();
    let (mut found, mut name) = (&root, root.get_name().to_owned());
    for argument in arguments {
        if let Some(below) = found.find_subcommand(&argument) {
            name = format!("{name} {}", below.get_name());
            found = below;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn what_is_wrong_is_one_line_and_the_usage_its_hint() {
        let cases = [
            (
                &["gantri", "unpack", "a"][..],
                "error: the following required arguments were not provided: <DIR>\n\
                 hint: gantri unpack <REF> <DIR>",
            ),
            (
                &["gantri", "blob", "a", "b"],
                "error: the subcommand 'b' cannot be used with '<REPO@DIGEST>'\n\
                 hint: gantri blob [OPTIONS] <REPO@DIGEST>",
            ),
            (
                &["gantri", "--quiet", "copy", "--jobs", "0", "a", "b"],
                "error: invalid value '0' for '--jobs <N>': 0 is not in 1..=65535\nhint: gantri copy --help",
            ),
            (
                &["gantri", "frobnicate"],
                "error: unrecognized subcommand 'frobnicate'\nhint: gantri [OPTIONS] <COMMAND>",
            ),
        ];
        for (arguments, expected) in cases {
            let error = Cli::try_parse_from(arguments).unwrap_err();
            let typed = arguments.iter().skip(1).map(|argument| (*argument).to_owned());
            assert_eq!(told(&error.render().to_string(), typed), expected);
        }
    }
}
