//! The terminal's second screen: taken, drawn on, and given back on every way out.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::queue;
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, size,
};
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};

type Out = Box<dyn Write + Send>;

/// The screen; clones are the same one.
#[derive(Clone)]
pub(super) struct Screen {
    /// Nothing once it is given back.
    out: Arc<Mutex<Option<Out>>>,
    colour: bool,
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Screen")
    }
}

impl Screen {
    /// Takes the terminal of standard error, where it is one that can be drawn on.
    pub(super) fn open() -> Option<Self> {
        let dumb = setting("TERM").is_none_or(|it| it == "dumb");
        if dumb || !io::stderr().is_terminal() {
            return None;
        }
        // https://no-color.org: set, and not to nothing.
        Self::on(Box::new(io::stderr()), setting("NO_COLOR").is_none()).ok()
    }

    fn on(mut out: Out, colour: bool) -> io::Result<Self> {
        queue!(out, EnterAlternateScreen, Hide)?;
        out.flush()?;
        let screen = Self {
            out: Arc::new(Mutex::new(Some(out))),
            colour,
        };
        screen.give_back_on_panic();
        Ok(screen)
    }

    /// A panic's message is for the person's own screen.
    fn give_back_on_panic(&self) {
        let (out, earlier) = (Arc::downgrade(&self.out), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            if let Some(out) = out.upgrade() {
                // Whoever draws may be who panics: it is not waited for.
                match out.try_lock() {
                    Ok(mut out) => give_back(&mut out),
                    Err(TryLockError::Poisoned(out)) => give_back(&mut out.into_inner()),
                    Err(TryLockError::WouldBlock) => give_back(&mut Some(Box::new(io::stderr()))),
                }
            }
            earlier(panic);
        }));
    }

    /// Whether there may be colours.
    pub(super) fn colour(&self) -> bool {
        self.colour
    }

    /// Whether it is still ours.
    pub(super) fn is_open(&self) -> bool {
        self.out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Draws, whole: what a key or a log line left there is gone within a second.
    pub(super) fn draw(&self, render: impl FnOnce(&mut Frame<'_>)) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(terminal) = out.as_mut() else {
            return;
        };
        let drawn = size()
            .and_then(|size| bytes(size, render))
            .and_then(|bytes| terminal.write_all(&bytes))
            .and_then(|()| terminal.flush());
        if drawn.is_err() {
            give_back(&mut out);
        }
    }

    /// Gives it back.
    pub(super) fn close(&self) {
        give_back(&mut self.out.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A frame as it is written.
fn bytes((width, height): (u16, u16), render: impl FnOnce(&mut Frame<'_>)) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    queue!(bytes, BeginSynchronizedUpdate, Clear(ClearType::All))?;
    let viewport = Viewport::Fixed(Rect::new(0, 0, width, height));
    let backend = CrosstermBackend::new(&mut bytes);
    let mut terminal = Terminal::with_options(backend, TerminalOptions { viewport })?;
    terminal.draw(render)?;
    drop(terminal);
    queue!(bytes, Hide, EndSynchronizedUpdate)?;
    Ok(bytes)
}

/// A terminal that is gone cannot be given back, and need not be.
fn give_back(out: &mut Option<Out>) {
    if let Some(mut out) = out.take() {
        queue!(out, EndSynchronizedUpdate, LeaveAlternateScreen, Show).ok();
        out.flush().ok();
    }
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    const GIVEN_BACK: &str = "\u{1b}[?2026l\u{1b}[?1049l\u{1b}[?25h";

    #[test]
    fn it_is_given_back_once() {
        let written = Written::default();
        let screen = Screen::on(Box::new(written.clone()), true).unwrap();
        let closing = screen.clone();
        assert!(screen.is_open());
        closing.close();
        screen.close();
        assert!(!screen.is_open());
        screen.draw(|_| unreachable!("it is not ours"));
        let text = written.text();
        assert_eq!(text.matches(GIVEN_BACK).count(), 1, "{text:?}");
        assert!(text.ends_with(GIVEN_BACK), "{text:?}");
    }

    #[test]
    fn a_panic_gives_it_back_before_its_message() {
        let written = Written::default();
        let screen = Screen::on(Box::new(written.clone()), true).unwrap();
        std::thread::spawn(|| panic!("as an example"))
            .join()
            .unwrap_err();
        assert!(!screen.is_open());
        assert!(written.text().ends_with(GIVEN_BACK));
    }

    #[test]
    fn a_frame_is_cleared_and_shown_at_once() {
        let render = |frame: &mut Frame<'_>| frame.render_widget("hello", frame.area());
        let text = String::from_utf8(bytes((10, 2), render).unwrap()).unwrap();
        assert!(text.starts_with("\u{1b}[?2026h\u{1b}[2J"), "{text:?}");
        assert!(text.contains("hello"), "{text:?}");
        assert!(text.ends_with("\u{1b}[?25l\u{1b}[?2026l"), "{text:?}");
        assert!(bytes((0, 0), render).is_ok());
    }
}
