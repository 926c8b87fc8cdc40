//! The `gantri` command: parse, run, one error to one line and one exit code.

mod alternatives;
mod args;
mod commands;
mod context;
mod credentials;
mod failure;
mod input;
mod output;
mod progress;
mod signal;
mod terminal;
mod usage;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::args::Cli;
use crate::failure::Failure;

/// Time that work on other threads may take to notice that it is no longer wanted.
const WIND_DOWN: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::end(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return end(&Failure::Job(gantri::Error::io("start the runtime", error))),
    };
    let code = runtime.block_on(run(cli));
    runtime.shutdown_timeout(WIND_DOWN);
    code
}

/// The command, or the signal that ends it: dropping the command's future is what cleans up after it.
async fn run(cli: Cli) -> ExitCode {
    context::log_to_stderr(cli.global.verbose);
    let mut interrupt = match signal::Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => return end(&Failure::Job(gantri::Error::io("listen for signals", error))),
    };
    if let args::Command::Serve(args) = cli.command {
        // A server that is told to stop has done what it was asked.
        return finish(commands::serve::run(args, interrupt).await);
    }
    let job = cli.command.to_string();
    tokio::select! {
        result = commands::run(cli) => finish(result),
        // The job's future is gone by now, and with it all that was half done.
        cause = interrupt.cause() => end(&Failure::Interrupted { job, cause }),
    }
}

fn finish(result: Result<(), Failure>) -> ExitCode {
    result.map_or_else(|failure| end(&failure), |()| ExitCode::SUCCESS)
}

fn end(failure: &Failure) -> ExitCode {
    if let Some(message) = failure.message() {
        // Standard error may be closed; the exit code still tells.
        let _ = writeln!(std::io::stderr(), "{message}");
    }
    failure.exit_code()
}
