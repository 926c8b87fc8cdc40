//! probe
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a harness")]
mod cell;
mod play;
mod world;
use cell::{Cell, Times};
use test_support::fault::{Mode, Operation};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let only = args.get(1).cloned();
    let op = args.get(2).cloned();
    let verbose = args.get(3).is_some();
    let mut modes: Vec<Option<Mode>> = vec![None];
    modes.extend(Mode::all().into_iter().map(Some));
    for mode in modes {
        let name = mode.map_or("none".to_owned(), |m| m.to_string());
        if only.as_ref().is_some_and(|o| o != "all" && !name.starts_with(o.as_str())) {
            continue;
        }
        for operation in Operation::ALL {
            if op.as_ref().is_some_and(|o| o != "all" && o != operation.name()) {
                continue;
            }
            for times in [Times::Once, Times::Always] {
                let cell = Cell { mode, operation, times };
                match cell.run() {
                    Ok(outcome) => {
                        let result = match &outcome.result {
                            Ok(None) => "S".into(),
                            Ok(Some(w)) => format!("WRONG {w}"),
                            Err(e) => format!("{:?}", e.kind()),
                        };
                        println!(
                            "{name:28} {:16} {times:?}\t{result}\t{} reqs {} hearts {} bytes {:.1}s {:?}",
                            operation.name(),
                            outcome.records.len(),
                            outcome.hearts(&cell.route()),
                            outcome.bytes(operation),
                            outcome.took.as_secs_f64(),
                            outcome.leaks()
                        );
                        if verbose {
                            if let Err(e) = &outcome.result {
                                println!("   {e}");
                            }
                            for r in &outcome.records {
                                println!("   {}", r.line());
                            }
                        }
                    }
                    Err(why) => println!("{name:28} {:16} {times:?}\tBROKEN {why}", operation.name()),
                }
            }
        }
    }
}
