//! Pictures without a window: the same bytes twice, and something on them.
//!
//! Belongs here: rendering through the real GPU pipeline (a software one will do).
//! Does not belong here: what a picture must look like in detail.

use crate::support::session;
use egui::Rect;
use flowreel_engine::model::time::TimeNs;
use flowreel_visualizer::render_to_file::Renderer;
use flowreel_visualizer::view::{Action, Selection};
use std::collections::HashSet;

fn pixels(png: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png))
        .read_info()
        .expect("a PNG header");
    let mut pixels = vec![0; reader.output_buffer_size().expect("fits memory")];
    let frame = reader.next_frame(&mut pixels).expect("a PNG picture");
    (frame.width, frame.height, pixels)
}

#[test]
fn the_same_moment_gives_the_same_bytes_and_another_one_others() {
    let draw = |t: u64| {
        let mut session = session();
        session.act(Action::Seek(TimeNs(t)), Rect::NOTHING);
        let request = session.reel().requests().all()[12].request;
        session.act(Action::Select(Selection::Request(request)), Rect::NOTHING);
        session.refresh();
        let mut renderer = Renderer::new(session, (960, 640)).expect("a device to draw with");
        renderer.png().expect("a picture")
    };
    let first = draw(61_200_000_000);
    assert_eq!(first, draw(61_200_000_000), "byte for byte");
    assert_ne!(
        first,
        draw(61_500_000_000),
        "half a hop later tokens have moved"
    );
    let (width, height, pixels) = pixels(&first);
    assert_eq!((width, height), (960, 640));
    let colors: HashSet<[u8; 3]> = pixels.as_chunks::<3>().0.iter().copied().collect();
    assert!(
        colors.len() > 200,
        "only {} colours: nothing is drawn",
        colors.len()
    );
}
