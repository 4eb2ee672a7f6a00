//! A program that runs beside us: its first words, its end, never left behind.
//!
//! Belongs here: starting, waiting with a deadline, stopping. Does not belong here: what it is started for.

use crate::process;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// A running program. Dropped while it runs, it is killed.
pub(crate) struct Running {
    name: String,
    pid: u32,
    lines: Receiver<String>,
    end: Receiver<std::io::Result<ExitStatus>>,
    is_over: bool,
}

impl Running {
    /// Starts it; its standard output is ours to read, its standard error goes to the terminal.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        command.stdout(Stdio::piped());
        Self::spawn(command)
    }

    /// Starts it so that it can run on after us: nobody reads its standard output.
    pub(crate) fn start_apart(mut command: Command) -> Result<Self> {
        command.stdout(Stdio::null());
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Result<Self> {
        let name = process::shown(&command);
        let mut child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("`{name}` could not be started"))?;
        let pid = child.id();
        let lines = lines_of(child.stdout.take());
        Ok(Self {
            name,
            pid,
            lines,
            end: end_of(child),
            is_over: false,
        })
    }

    /// Its number, by which the system tells what it has used.
    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// The next line of its standard output.
    pub(crate) fn line(&self, patience: Duration) -> Result<String> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => {
                bail!("`{}` said nothing for {} s", self.name, patience.as_secs())
            }
            Err(RecvTimeoutError::Disconnected) => bail!("`{}` ended without a word", self.name),
        }
    }

    /// Everything it wrote on standard output that was not read yet; waits for its end.
    pub(crate) fn rest(&mut self, patience: Duration) -> Result<String> {
        self.wait(patience)?;
        Ok(self.lines.iter().collect::<Vec<_>>().join("\n"))
    }

    /// True where it ended within that time.
    pub(crate) fn ends_within(&mut self, time: Duration) -> Result<bool> {
        match self.end.recv_timeout(time) {
            Ok(status) => {
                self.is_over = true;
                let status =
                    status.with_context(|| format!("`{}` cannot be waited for", self.name))?;
                if !status.success() {
                    bail!("`{}` ended with {status}", self.name);
                }
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => bail!("`{}` was lost", self.name),
        }
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, patience: Duration) -> Result<()> {
        if !self.is_over && !self.ends_within(patience)? {
            bail!(
                "`{}` did not end within {} s",
                self.name,
                patience.as_secs()
            );
        }
        Ok(())
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn terminate(&mut self, patience: Duration) -> Result<()> {
        signal(self.pid, "-TERM")?;
        self.wait(patience)
    }

    /// Lets it run on after us.
    pub(crate) fn leave(mut self) -> u32 {
        self.is_over = true;
        self.pid
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_over && signal(self.pid, "-KILL").is_err() {
            // It ended by itself in the meantime.
        }
    }
}

fn signal(pid: u32, signal: &str) -> Result<()> {
    process::run(Command::new("kill").args([signal, &pid.to_string()]))
}

fn lines_of(output: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, lines) = sync_channel(64 * 1024);
    if let Some(output) = output {
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    lines
}

fn end_of(mut child: Child) -> Receiver<std::io::Result<ExitStatus>> {
    let (sender, end) = sync_channel(1);
    std::thread::spawn(move || {
        if sender.send(child.wait()).is_err() {
            // Nobody waits any more.
        }
    });
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Running::start(command).unwrap()
    }

    #[test]
    fn lines_come_one_by_one_and_the_rest_at_the_end() {
        let mut running = shell("echo ready; echo a; echo b");
        assert_eq!(running.line(Duration::from_secs(10)).unwrap(), "ready");
        assert_eq!(running.rest(Duration::from_secs(10)).unwrap(), "a\nb");
    }

    #[test]
    fn a_program_that_ends_badly_is_an_error() {
        let error = shell("exit 3").wait(Duration::from_secs(10)).unwrap_err();
        assert!(error.to_string().contains('3'));
    }

    #[test]
    fn a_deadline_is_kept_and_the_program_can_be_ended() {
        let mut running = shell("trap 'kill $!; exit 0' TERM; tail -f /dev/null & echo up; wait");
        running.line(Duration::from_secs(10)).unwrap();
        assert!(!running.ends_within(Duration::from_millis(1)).unwrap());
        running.terminate(Duration::from_secs(10)).unwrap();
    }
}
