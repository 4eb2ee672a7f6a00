//! A spool over a disk that refuses.

use super::*;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Name {
    #[default]
    First,
    Own,
    Deleted,
}

#[derive(Default)]
struct Disk {
    bytes: Vec<u8>,
    room: usize,
    name: Name,
    is_worn_out: bool,
    /// A sync is going on.
    is_syncing: bool,
    sync_count: u32,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = bytes.len().min(self.room);
        if count == 0 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.room -= count;
        self.bytes.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink for Disk {
    fn sync(&mut self) -> std::io::Result<()> {
        match self.is_worn_out {
            true => Err(std::io::Error::other("cannot bring it to the disk")),
            false => Ok(()),
        }
    }

    fn sync_beside(&mut self) {
        self.sync_count += 1;
    }

    fn sync_ended(&mut self) -> Option<std::io::Result<()>> {
        (!self.is_syncing).then(|| self.sync())
    }

    fn publish(&mut self, _path: &Path) -> std::io::Result<()> {
        self.name = Name::Own;
        Ok(())
    }

    fn is_there(&self, _path: &Path) -> bool {
        self.name != Name::Deleted
    }
}

fn segment(number: u32, room: usize) -> (Segment<Disk>, Outbox) {
    let outbox = Outbox::default();
    let disk = Disk {
        room,
        ..Disk::default()
    };
    let path = PathBuf::from(format!("run.{number:04}.reel"));
    (Segment::new(number, path, disk, outbox.clone()), outbox)
}

fn spool(room: usize) -> (Spool<Disk>, Outbox) {
    let (segment, outbox) = segment(1, room);
    (Spool::new(segment, Arc::new(Published::default())), outbox)
}

#[test]
fn a_full_disk_delays_bytes_and_neither_loses_nor_repeats_any() {
    let (mut spool, mut outbox) = spool(5);
    outbox.write_all(b"0123456789").expect("memory");
    spool.write_out(TimeNs(1));
    assert_eq!((spool.written_bytes(), spool.fault_count()), (5, 1));
    assert!(spool.has_pending() && !spool.can_change());
    outbox.write_all(b"abc").expect("memory");
    spool.write_out(TimeNs(2));
    assert_eq!(spool.fault_count(), 2);
    spool.open.file.room = 100;
    spool.write_out(TimeNs(3));
    assert_eq!(spool.open.file.bytes, b"0123456789abc");
    assert!(!spool.has_pending() && spool.can_change());
    assert!(spool.open.file.name == Name::Own);
}

#[test]
fn past_the_limit_events_must_be_dropped() {
    let (mut spool, mut outbox) = spool(0);
    let block = vec![0; 1 << 20];
    for _ in 0..33 {
        outbox.write_all(&block).expect("memory");
    }
    spool.write_out(TimeNs(1));
    assert!(spool.is_overfull());
    spool.open.file.room = usize::MAX;
    spool.write_out(TimeNs(2));
    assert!(!spool.is_overfull());
}

#[test]
fn a_segment_is_not_written_before_the_one_before_it_is_whole() {
    let (mut spool, mut outbox) = spool(4);
    outbox.write_all(b"first").expect("memory");
    let (next, mut next_outbox) = segment(2, 100);
    spool.change_to(next);
    next_outbox.write_all(b"second").expect("memory");
    spool.write_out(TimeNs(1));
    assert_eq!(spool.pending_bytes(), 7);
    assert!(spool.open.file.bytes.is_empty() && !spool.can_change());
    let closing = spool.closing.as_mut().expect("its end is not written");
    closing.file.room = 10;
    spool.write_out(TimeNs(2));
    assert_eq!(spool.open.file.bytes, b"second");
    assert!(spool.can_change());
    assert_eq!((spool.closed_bytes, spool.pending_bytes()), (5, 0));
}

#[test]
fn a_file_that_is_deleted_or_cannot_be_synced_is_noticed() {
    let (mut spool, mut outbox) = spool(100);
    outbox.write_all(b"abc").expect("memory");
    spool.write_out(TimeNs(1));
    spool.open.file.is_worn_out = true;
    spool.write_out(TimeNs(SYNC_INTERVAL_NS + 1));
    assert_eq!((spool.fault_count(), spool.is_gone()), (1, false));
    spool.open.file.is_worn_out = false;
    spool.open.file.name = Name::Deleted;
    spool.write_out(TimeNs(3 * SYNC_INTERVAL_NS));
    assert_eq!((spool.fault_count(), spool.is_gone()), (2, true));
    let (next, _outbox) = segment(2, 100);
    spool.change_to(next);
    assert!(!spool.is_gone());
}

#[test]
fn a_closed_segment_is_kept_until_its_very_end_is_synced() {
    let (mut spool, mut outbox) = spool(100);
    outbox.write_all(b"first").expect("memory");
    spool.write_out(TimeNs(1));
    // A sync that began before the end was written is still going on when the segment is closed.
    spool.open.file.is_syncing = true;
    outbox.write_all(b"end").expect("memory");
    let (next, mut next_outbox) = segment(2, 100);
    spool.change_to(next);
    next_outbox.write_all(b"second").expect("memory");
    spool.write_out(TimeNs(2));
    assert_eq!(spool.settling[0].file.sync_count, 0);
    let (third, mut third_outbox) = segment(3, 100);
    spool.change_to(third);
    third_outbox.write_all(b"third").expect("memory");
    spool.write_out(TimeNs(3));
    assert_eq!(spool.settling.len(), 2, "none takes the place of another");
    spool.settling[0].file.is_syncing = false;
    spool.write_out(TimeNs(SYNC_INTERVAL_NS + 3));
    assert_eq!(spool.settling.len(), 1, "the second was synced as a whole");
    assert_eq!(
        spool.settling[0].file.sync_count, 1,
        "the first is synced to its end"
    );
    spool.write_out(TimeNs(2 * SYNC_INTERVAL_NS + 3));
    assert!(spool.settling.is_empty());
}

#[test]
fn a_last_sync_that_fails_is_told() {
    let (mut spool, mut outbox) = spool(100);
    outbox.write_all(b"abc").expect("memory");
    spool.write_out(TimeNs(1));
    assert!(spool.sync());
    spool.open.file.is_worn_out = true;
    assert!(!spool.sync());
}

#[test]
fn an_outbox_knows_whether_a_writer_has_it() {
    let outbox = Outbox::default();
    assert!(!outbox.is_written_to());
    let writer = outbox.clone();
    assert!(outbox.is_written_to());
    drop(writer);
    assert!(!outbox.is_written_to());
}
