//! The proxy alone, for people who want to see what some client makes of it.

use std::io::Read;
use std::thread;
use std::time::Duration;

use test_support::fault::{FaultProxy, Route, When};

use crate::cell::Times;
use crate::options::Options;

/// Stands before a registry until standard input ends, and prints each request once it is over.
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
    while !reader.is_finished() {
        // The last one may still be under way.
        thread::sleep(LOOK);
        let records = proxy.records();
        for record in records.iter().skip(told) {
            println!("{}", record.line());
        }
        told = records.len();
    }
}

const LOOK: Duration = Duration::from_millis(500);
