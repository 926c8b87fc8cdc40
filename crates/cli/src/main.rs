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
use std::thread;
use std::time::Duration;

use clap::Parser;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::signal::Interrupt;

/// The stack of the command's own thread, in bytes: what a main thread has. Others have a quarter of it, and the futures of a
/// command, one in the other, are large where nothing optimises them.
const STACK: usize = 8 << 20;
/// Time that work on other threads may take to notice that it is no longer wanted.
const WIND_DOWN: Duration = Duration::from_secs(2);
/// Time that a command may take to let go of what it does: a tree that was half unpacked is removed. One that waits for the
/// kernel, for a disk that does not answer, never does; who does not want to wait for that says so by a second signal.
const LETTING_GO: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::end(&error),
    };
    // The command has threads of its own: whatever it waits for, this one hears the signals.
    let watch = Builder::new_current_thread().enable_all().build();
    let runtimes = watch.and_then(|watch| Ok((watch, Builder::new_multi_thread().enable_all().build()?)));
    let (watch, work) = match runtimes {
        Ok(runtimes) => runtimes,
        Err(error) => return end(&Failure::Job(gantri::Error::io("start the runtime", error))),
    };
    let (code, patience) = watch.block_on(run(cli, work.handle().clone()));
    work.shutdown_timeout(patience);
    code
}

/// The command, or the signal that ends it, and how long to wait for what it leaves on other threads.
async fn run(cli: Cli, work: Handle) -> (ExitCode, Duration) {
    context::log_to_stderr(cli.global.verbose);
    let mut interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => return (end(&Failure::Job(gantri::Error::io("listen for signals", error))), WIND_DOWN),
    };
    if let Command::Serve(args) = cli.command {
        // A server that is told to stop has done what it was asked.
        return match start(work, || commands::serve::run(args, interrupt)) {
            Ok((_cancel, mut job)) => (job.ended().await, WIND_DOWN),
            Err(failure) => (end(&failure), WIND_DOWN),
        };
    }
    let what = cli.command.to_string();
    let (cancel, mut job) = match start(work, || commands::run(cli)) {
        Ok(started) => started,
        Err(failure) => return (end(&failure), WIND_DOWN),
    };
    let cause = tokio::select! {
        code = job.ended() => return (code, WIND_DOWN),
        cause = interrupt.cause() => cause,
    };
    drop(cancel);
    let (result, patience) = tokio::select! {
        let_go = job.let_go(LETTING_GO) => let_go,
        _ = interrupt.cause() => (None, Duration::ZERO),
    };
    // It may have been done already.
    (result.map_or_else(|| end(&Failure::Interrupted { job: what, cause }), finish), patience)
}

/// A command under way on a thread of its own.
struct Job {
    /// Its future is gone, and with it all that was half done.
    dropped: oneshot::Receiver<()>,
    result: oneshot::Receiver<Result<(), Failure>>,
}

/// Starts a command, which goes on until it has ended or what is given here is dropped. Dropping its future is what cleans up
/// after it.
///
/// # Errors
/// `Io` if the system has no thread left for it.
fn start<F: Future<Output = Result<(), Failure>>>(
    work: Handle,
    command: impl FnOnce() -> F + Send + 'static,
) -> Result<(oneshot::Sender<()>, Job), Failure> {
    let (cancel, cancelled) = oneshot::channel();
    let (drops, dropped) = oneshot::channel();
    let (ends, result) = oneshot::channel();
    let run = move || {
        let ended = work.block_on(async {
            tokio::select! {
                result = command() => Some(result),
                _ = cancelled => None,
            }
        });
        // Whoever has lost patience listens no longer.
        let _ = drops.send(());
        match ended {
            Some(result) => drop(ends.send(result)),
            None => work.block_on(context::cancel_left_uploads()),
        }
    };
    let started = thread::Builder::new().stack_size(STACK).spawn(run);
    started.map_err(|error| gantri::Error::io("start a thread for the command", error))?;
    Ok((cancel, Job { dropped, result }))
}

impl Job {
    /// What it came to all the same after it was cancelled, and how long to wait for what it leaves on other threads.
    async fn let_go(&mut self, most: Duration) -> (Option<Result<(), Failure>>, Duration) {
        match tokio::time::timeout(most, &mut self.dropped).await {
            Ok(_) => ((&mut self.result).await.ok(), WIND_DOWN),
            Err(_) => (None, Duration::ZERO),
        }
    }

    /// How it ended; one that panicked has said why.
    async fn ended(&mut self) -> ExitCode {
        (&mut self.result).await.map_or(ExitCode::from(101), finish)
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

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::sync::mpsc;

    use super::*;

    /// A future that waits for the kernel is not dropped as long as it does, and signals are heard all the same.
    #[test]
    fn what_waits_for_the_kernel_is_not_waited_for() {
        let watch = Builder::new_current_thread().enable_all().build().unwrap();
        let work = Builder::new_multi_thread().enable_all().build().unwrap();
        let (release, waits) = mpsc::channel::<()>();
        let (begins, begun) = mpsc::channel::<()>();
        let (cancel, mut blocked) = start(work.handle().clone(), || async move {
            let _ = begins.send(());
            let _ = waits.recv();
            Ok(())
        })
        .unwrap();
        begun.recv().unwrap();
        drop(cancel);
        assert!(matches!(watch.block_on(blocked.let_go(Duration::ZERO)), (None, Duration::ZERO)));
        drop(release);
        let (cancel, mut waiting) = start(work.handle().clone(), std::future::pending).unwrap();
        drop(cancel);
        assert!(matches!(watch.block_on(waiting.let_go(LETTING_GO)), (None, WIND_DOWN)));
        let (_cancel, mut done) = start(work.handle().clone(), || async { Ok(()) }).unwrap();
        assert!(matches!(watch.block_on(done.let_go(LETTING_GO)), (Some(Ok(())), WIND_DOWN)));
    }

    /// Goes down until its frames reach so far from `top`.
    fn reach_down(top: usize, bytes: usize) -> usize {
        let frame = black_box([1_u8; 1024]);
        if top.abs_diff(frame.as_ptr().addr()) >= bytes { 0 } else { reach_down(top, bytes) + usize::from(frame[0]) }
    }

    /// A thread that nobody asks for more has 2 MiB, and ends the process where it needs more.
    #[test]
    fn a_command_has_the_stack_of_a_main_thread() {
        let work = Builder::new_multi_thread().enable_all().build().unwrap();
        let (tell, told) = mpsc::channel();
        let (_cancel, _job) = start(work.handle().clone(), || async move {
            let top = 0_u8;
            let _ = tell.send(reach_down((&raw const top).addr(), STACK - (1 << 20)));
            Ok(())
        })
        .unwrap();
        assert!(told.recv().unwrap() > 0);
    }
}
