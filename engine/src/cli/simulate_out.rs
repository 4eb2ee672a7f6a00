//! `flowreel simulate --out`: the run as a reel.
//!
//! Belongs here: the file beside the run, renamed to its name once it is whole. Does not belong here:
//! the format (recording).

use super::CliError;
use super::new_file::NewFile;
use flowreel_engine::analysis::Answer;
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::recording::{
    EmbeddedScenario, FinishInfo, ReelMeta, ReelWriter, RunId, RunSource, WriteError, file,
};
use flowreel_engine::scenario::Scenario;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Writes events to a file that gets its name when it is whole; until then it ends in `.part`.
pub(super) struct Recorder {
    writer: Option<ReelWriter<File>>,
    failure: Option<WriteError>,
    new: NewFile,
    out: PathBuf,
}

impl Recorder {
    pub(super) fn create(
        out: &Path,
        scenario_path: &Path,
        text: &str,
        seed: u64,
        settings: &[String],
        scenario: &Scenario,
    ) -> Result<Self, CliError> {
        let place = out.display().to_string();
        let is_scenario = file::is_same_file(scenario_path, out).unwrap_or(false);
        if is_scenario || out.is_dir() {
            let what = if is_scenario {
                "the scenario itself"
            } else {
                "a folder"
            };
            return Err(CliError::input(format!("cannot record over {what}"))
                .at(place)
                .hint("give --out a file name of its own, such as run.reel"));
        }
        let mut texts = vec![text, "seed"];
        let seed_text = seed.to_string();
        texts.push(&seed_text);
        texts.extend(settings.iter().map(String::as_str));
        let mut meta = ReelMeta::new(RunId::derived_from(&texts), RunSource::Simulation);
        meta.scenario = Some(EmbeddedScenario {
            text: text.to_owned(),
            seed,
            settings: settings.to_vec(),
        });
        let (file, new) = NewFile::create(out).map_err(|error| {
            CliError::environment(format!("cannot create the reel: {error}"))
                .at(&place)
                .hint("choose a folder that exists and may be written to")
        })?;
        let mut recorder = Self {
            writer: None,
            failure: None,
            new,
            out: out.to_owned(),
        };
        let writer = ReelWriter::new(file, &meta, &scenario.topology);
        recorder.writer = Some(writer.map_err(|error| recorder.explain(&error))?);
        Ok(recorder)
    }

    /// The next event; a failure is kept for [`Self::finish`], as the run cannot be stopped by its watcher.
    #[inline]
    pub(super) fn push(&mut self, event: &StageEvent) {
        if let (Some(writer), None) = (&mut self.writer, &self.failure)
            && let Err(error) = writer.push(event)
        {
            self.failure = Some(error);
        }
    }

    pub(super) fn finish(mut self, answer: &Answer) -> Result<(), CliError> {
        if let Some(error) = self.failure.take() {
            return Err(self.explain(&error));
        }
        let info = FinishInfo {
            dropped: 0,
            // A record holds 1 MiB; figures of thousands of stations can be measured again.
            statistics_json: serde_json::to_string(answer)
                .ok()
                .filter(|text| text.len() < 1 << 20),
        };
        if let Some(writer) = self.writer.take() {
            writer.finish(&info).map_err(|error| self.explain(&error))?;
        }
        self.new.keep().map_err(|error| {
            CliError::environment(format!("cannot name the reel: {error}"))
                .at(self.out.display().to_string())
        })
    }

    fn explain(&self, error: &WriteError) -> CliError {
        CliError::environment(error.to_string())
            .at(self.out.display().to_string())
            .hint("make room on the disk, or record a shorter run")
    }
}
