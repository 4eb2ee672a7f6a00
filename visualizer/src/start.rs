//! Set-up of the renderer and the window, where what is missing comes back as an error.
//!
//! Belongs here: turning the panics of set-up into sentences. Does not belong here: plugins, frames.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// What the renderer's set-up says where no driver answers.
const NO_DEVICE: &str = "Unable to find a GPU";
/// What the window's set-up says where no window system answers.
const NO_DISPLAY: &str = "Failed to build event loop";

/// Why nothing can be drawn here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// No driver.
    #[error(
        "no Vulkan driver draws here; install one, for instance Mesa's, which needs no graphics card: apt-get install mesa-vulkan-drivers libvulkan1"
    )]
    NoDevice,
    /// `DISPLAY` or `WAYLAND_DISPLAY` lead nowhere.
    #[error(
        "the display does not answer, so no window opens; correct DISPLAY or WAYLAND_DISPLAY, or use `flowreel-view render`"
    )]
    NoDisplay,
    /// Anything else.
    #[error("the renderer cannot start: {0}; update the graphics driver")]
    Other(String),
}

impl StartError {
    fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        if text.starts_with(NO_DEVICE) {
            Self::NoDevice
        } else if text.starts_with(NO_DISPLAY) {
            Self::NoDisplay
        } else {
            Self::Other(text.lines().next().unwrap_or_default().to_owned())
        }
    }
}

thread_local! {
    static IS_STARTING: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Runs a set-up step; Bevy tells of a missing driver or display by a panic and by nothing else.
pub(crate) fn guarded<T>(step: impl FnOnce() -> T) -> Result<T, StartError> {
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info| {
            if !IS_STARTING.get() {
                usual(info);
            }
        }));
    });
    IS_STARTING.set(true);
    // What the step left half done is dropped with it: nobody sees it broken.
    let done = catch_unwind(AssertUnwindSafe(step));
    IS_STARTING.set(false);
    done.map_err(|payload| StartError::from_panic(&*payload))
}

#[cfg(test)]
mod tests {
    use super::{StartError, guarded};

    #[test]
    fn what_is_missing_is_told_apart() {
        let failed = |text: &'static str| guarded(|| std::panic::panic_any(text));
        assert_eq!(
            failed("Unable to find a GPU! See …").err(),
            Some(StartError::NoDevice)
        );
        assert_eq!(
            failed("Failed to build event loop: Os").err(),
            Some(StartError::NoDisplay)
        );
        assert_eq!(
            failed("first\nsecond").err(),
            Some(StartError::Other("first".to_owned()))
        );
        assert_eq!(guarded(|| 7), Ok(7));
    }
}
