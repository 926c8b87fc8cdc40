//! A command line that can't be understood, told like every other error: one line, one hint, exit code 2.

use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::failure::one_line;

/// Prints help and version where they were asked for; else what is wrong with the command line.
pub(crate) fn end(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
    if is_help(error.kind()) {
        // Whoever closed the output does not want the help.
        let _ = error.print();
    } else {
        // Standard error may be closed; the exit code still tells.
        let _ = writeln!(std::io::stderr(), "{}", told(&error.render().to_string()));
    }
    code
}

fn is_help(kind: ErrorKind) -> bool {
    use ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    matches!(kind, DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand)
}

/// Clap's first paragraph is what is wrong; the first line of its usage is the hint.
fn told(text: &str) -> String {
    let mut paragraphs = text.split("\n\n");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let error = words(paragraphs.next().unwrap_or_default());
    let usage = paragraphs.find_map(|text| text.strip_prefix("Usage: ")?.lines().next().map(words));
    let hint = usage.unwrap_or_else(|| "gantri --help".to_owned());
    format!("{}\nhint: {}", one_line(&error), one_line(&hint))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Cli;

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
                &["gantri", "frobnicate"],
                "error: unrecognized subcommand 'frobnicate'\nhint: gantri [OPTIONS] <COMMAND>",
            ),
        ];
        for (arguments, expected) in cases {
            let error = Cli::try_parse_from(arguments).unwrap_err();
            assert_eq!(told(&error.render().to_string()), expected);
        }
    }
}
