//! How long files and functions are: what does not fit on a few screens is two things.

use super::source::{Source, closes, indent};
use super::{Done, held};
use crate::tool::Result;

/// Lines of a file, without its tests.
const FILE: usize = 400;
/// Lines of a function, from its name to its last brace.
const FUNCTION: usize = 60;

pub(super) fn sizes() -> Result<Done> {
    let sources = Source::all()?;
    let faults: Vec<String> = sources.iter().flat_map(faults).collect();
    held(&faults, format!("{} files of {FILE} lines at most, functions of {FUNCTION}", sources.len()))
}

fn faults(source: &Source) -> Vec<String> {
    let lines = source.lines();
    let path = source.path.display();
    let mut faults = Vec::new();
    if lines.len() > FILE {
        faults.push(format!("{path}: {} lines, {FILE} at most", lines.len()));
    }
    for (start, (number, line)) in lines.iter().enumerate() {
        let Some(name) = function(line) else { continue };
        let length = length(&lines[start..]);
        if length > FUNCTION {
            faults.push(format!("{path}:{number}: {name} has {length} lines, {FUNCTION} at most"));
        }
    }
    faults
}

/// The name of the function that this line begins.
fn function(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let qualifier = |word: &str| {
        matches!(word, "pub" | "async" | "const" | "unsafe" | "extern" | "default") || word.starts_with("pub(")
    };
    let head = before.split_whitespace().all(|word| qualifier(word) || word.ends_with(')'));
    let name = after.split(['(', '<']).next()?;
    (head && !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')).then_some(name)
}

/// Lines from the first to the end of what it begins; 1 for a signature without a body.
fn length(lines: &[(usize, &str)]) -> usize {
    let depth = lines.first().map_or(0, |(_, line)| indent(line));
    for (count, (_, line)) in lines.iter().enumerate() {
        let body_less = indent(line) == depth && line.ends_with(';');
        let at_once = count == 0 && line.ends_with('}');
        if body_less || at_once || closes_function(line, depth, count) {
            return count + 1;
        }
    }
    lines.len()
}

fn closes_function(line: &str, depth: usize, count: usize) -> bool {
    count > 0 && closes(line, depth)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn found(text: &str) -> usize {
        faults(&Source { path: PathBuf::from("x.rs"), text: text.to_owned() }).len()
    }

    #[test]
    fn a_function_of_61_lines_is_too_long_and_one_of_60_is_not() {
        let function = |body: usize| {
            format!(
                "impl X {{\n    pub(crate) async fn f(\n        x: u8,\n    ) -> u8 {{\n{}    }}\n}}\n",
                "        x;\n".repeat(body)
            )
        };
        assert_eq!(found(&function(56)), 0);
        assert_eq!(found(&function(57)), 1);
    }

    #[test]
    fn a_file_of_401_lines_is_too_long_but_its_tests_do_not_count() {
        assert_eq!(found(&"use x;\n".repeat(400)), 0);
        assert_eq!(found(&"use x;\n".repeat(401)), 1);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    use y;\n".repeat(400));
        assert_eq!(found(&format!("{}{tests}", "use x;\n".repeat(400))), 0);
    }

    #[test]
    fn a_signature_without_a_body_is_no_long_function() {
        let text =
            format!("trait X {{\n    fn f(\n        &self,\n    ) -> u8;\n{}}}\n", "    const C: u8;\n".repeat(100));
        assert_eq!(found(&text), 0);
        assert_eq!(function("        let f: fn(u8) = g;"), None);
        assert_eq!(function("    // the fn of it"), None);
        assert_eq!(function("pub(in crate::a) const fn f<T>() {}"), Some("f"));
    }
}
