//! Traces of other tools: whatever can be imported is an honest run.
//!
//! Belongs here: promises of the importers. Does not belong here: which fields they read.

use flate2::Compression;
use flowreel_engine::import::{Format, Input, import};
use flowreel_engine::model::check::check_stream;
use flowreel_engine::recording::{
    FinishInfo, ReelMeta, ReelReader, ReelWriter, RunId, RunSource, verify,
};
use std::io::Write;

/// Between two files.
const FILE_MARK: u8 = 0x1e;
const FILES_MAX: usize = 4;

/// Takes a byte that chooses the format and gzip, then files with [`FILE_MARK`] between them.
pub(crate) fn check(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    let format = match choice & 3 {
        0 => None,
        1 => Some(Format::Jaeger),
        2 => Some(Format::Otlp),
        _ => Some(Format::Zipkin),
    };
    let files: Vec<Vec<u8>> = rest
        .splitn(FILES_MAX, |byte| *byte == FILE_MARK)
        .map(|file| {
            if choice & 4 == 0 {
                file.to_vec()
            } else {
                gzip(file)
            }
        })
        .collect();
    let inputs: Vec<Input<'_>> = files
        .iter()
        .map(|bytes| Input {
            name: "traces.json",
            bytes,
        })
        .collect();
    let told = match import(&inputs, format) {
        Ok(told) => told,
        Err(error) => {
            let sentence = error.to_string();
            assert!(
                !sentence.is_empty() && !sentence.contains('\n'),
                "{sentence:?}"
            );
            return;
        }
    };
    check_stream(&told.topology, told.events.iter().map(|(event, _)| event))
        .expect("an import is an honest run");
    let meta = ReelMeta::new(RunId::derived_from(&["fuzz"]), RunSource::Import);
    let mut writer = ReelWriter::new(Vec::new(), &meta, &told.topology).expect("memory");
    for (event, detail) in &told.events {
        match detail {
            Some(detail) => drop(writer.push_with_detail(event, detail).expect("in order")),
            None => writer.push(event).expect("in order"),
        }
    }
    let (bytes, _) = writer.finish(&FinishInfo::default()).expect("memory");
    let checked = verify(&ReelReader::from_bytes(bytes).expect("a whole reel")).expect("memory");
    assert!(checked.holds(), "{:?}", checked.problems);
    assert!(told.report.traces <= told.report.spans && told.report.errors <= told.report.spans);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}
