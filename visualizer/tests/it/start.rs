//! Machines that cannot draw: one sentence and the right exit code, never a panic.
//!
//! Belongs here: the built program in a poor environment. Does not belong here: what it draws elsewhere.

use std::process::{Command, Output};

fn view(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flowreel-view"))
        .args(arguments)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("XDG_RUNTIME_DIR")
        .envs(environment.iter().copied())
        .output()
        .expect("the program starts")
}

fn one_sentence(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_driver_render_says_what_to_install() {
    let file = std::env::temp_dir().join(format!("flowreel-{}.png", std::process::id()));
    let out = file.to_string_lossy().into_owned();
    let text = one_sentence(&view(
        &["render", "--out", &out],
        &[
            ("VK_DRIVER_FILES", "/nonexistent"),
            ("VK_ICD_FILENAMES", "/nonexistent"),
        ],
    ));
    assert!(
        text.contains("apt-get install mesa-vulkan-drivers libvulkan1"),
        "{text}"
    );
    assert!(!file.exists(), "nothing was drawn");
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_display_the_window_says_what_to_set() {
    let text = one_sentence(&view(&[], &[]));
    assert!(text.contains("set DISPLAY or WAYLAND_DISPLAY"), "{text}");
    let text = one_sentence(&view(&[], &[("DISPLAY", ":4095")]));
    assert!(text.contains("the display does not answer"), "{text}");
}
