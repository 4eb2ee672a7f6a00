//! Memory that an input may make the program take: a bomb is a crash here, whatever the machine has.
//!
//! Belongs here: counting what is allocated. Does not belong here: time (libFuzzer's `-timeout`).

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

/// Most bytes in use above what was in use when the input came.
const LIVE_BYTES_MAX: isize = 512 << 20;

static LIVE_BYTES: AtomicIsize = AtomicIsize::new(0);

/// The system's allocator with a limit.
pub(crate) struct Limited;

/// A new input: counting begins anew.
pub(crate) fn begin() {
    LIVE_BYTES.store(0, Ordering::Relaxed);
}

fn take(bytes: usize) {
    let bytes = isize::try_from(bytes).unwrap_or(isize::MAX / 2);
    let live = LIVE_BYTES
        .fetch_add(bytes, Ordering::Relaxed)
        .saturating_add(bytes);
    if live > LIVE_BYTES_MAX {
        // What the message itself needs must not come back here.
        LIVE_BYTES.store(isize::MIN / 2, Ordering::Relaxed);
        eprintln!(
            "an allocation of {bytes} bytes brings the input to {live}, {LIVE_BYTES_MAX} are allowed"
        );
        eprintln!("{}", std::backtrace::Backtrace::force_capture());
        std::process::abort();
    }
}

fn give(bytes: usize) {
    let bytes = isize::try_from(bytes).unwrap_or(isize::MAX / 2);
    LIVE_BYTES.fetch_sub(bytes, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came; only numbers are kept beside it.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller keeps what `alloc` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller keeps what `alloc_zeroed` asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        give(layout.size());
        // SAFETY: the caller keeps what `dealloc` asks for.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        take(size);
        give(layout.size());
        // SAFETY: the caller keeps what `realloc` asks for.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
