//! A question to whoever sits at the terminal. What is typed in answer to a secret one is not shown.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gantri::Secret;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Whether what is typed is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Echo {
    Shown,
    Hidden,
}

/// How often whoever waits for an answer looks whether it is still wanted.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Asks, and waits for a line of at most so many bytes. `None` if there is no terminal.
///
/// # Cancel safety
/// Dropping the future leaves the terminal as it was.
pub(crate) async fn ask(question: &str, echo: Echo, most: u64) -> io::Result<Option<Secret>> {
    let Ok(mut terminal) = OpenOptions::new().read(true).write(true).open("/dev/tty") else { return Ok(None) };
    let asked = Asked::begin(&terminal, echo)?;
    write!(terminal, "{question}: ")?;
    let unwanted = Arc::clone(&asked.unwanted);
    let mut reader = terminal.try_clone()?;
    let read = move || answer(&mut reader, most, &unwanted);
    let line = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?;
    drop(asked);
    if echo == Echo::Hidden {
        writeln!(terminal)?;
    }
    line.map(Some)
}

/// A question that is under way. When it is over, the terminal is as it was before.
struct Asked {
    terminal: File,
    before: Termios,
    unwanted: Arc<AtomicBool>,
}

impl Asked {
    fn begin(terminal: &File, echo: Echo) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        if echo == Echo::Hidden {
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
        }
        Ok(Self { terminal: terminal.try_clone()?, before, unwanted: Arc::default() })
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.unwanted.store(true, Ordering::Relaxed);
        // A terminal that is gone shows nothing any more.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// One line, as far as it is wanted. Blocks the thread.
fn answer(terminal: &mut File, most: u64, unwanted: &AtomicBool) -> io::Result<Secret> {
    let mut line = Vec::new();
    while !unwanted.load(Ordering::Relaxed) && line.last() != Some(&b'\n') && (line.len() as u64) < most {
        if poll(&mut [PollFd::new(terminal, PollFlags::IN)], Some(&TICK))? == 0 {
            continue;
        }
        let mut byte = [0];
        if terminal.read(&mut byte)? == 0 {
            break;
        }
        line.push(byte[0]);
    }
    String::from_utf8(line).map(Secret::new).map_err(|_| io::Error::other("what was typed is no text"))
}
