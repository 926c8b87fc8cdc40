//! The proxy alone, for people who want to see what some client makes of it.

use std::io::Read;
use std::thread;
use std::time::Duration;

use test_support::fault::{FaultProxy, Route, When};

use crate::cell::Times;
use crate::options::Options;

/// Stands before a registry until standard input ends, and prints each request once it is over, in the order in which they
/// came: one that is under way keeps those behind it back. What is not over at the end is printed as it stands.
pub(crate) fn serve(upstream: &str, options: &Options) {
    let route = options.operation.map_or(Route::Any, Route::from);
    let when = match options.times() {
        Times::Once => When::Nth(1),
        Times::Always => When::Always,
    };
    let plan = FaultProxy::before(upstream);
    let plan = options.mode.into_iter().fold(plan, |plan, mode| plan.fail(route.clone(), when, mode));
    let proxy = plan.start();
    println!("{} stands before {upstream}; end it by closing standard input", proxy.host());
    let reader = thread::spawn(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let mut told = 0;
    loop {
        let is_last = reader.is_finished();
        for record in proxy.records().iter().skip(told).take_while(|record| record.over || is_last) {
            println!("{}", record.line());
            told += 1;
        }
        if is_last {
            return;
        }
        thread::sleep(LOOK);
    }
}

const LOOK: Duration = Duration::from_millis(500);
