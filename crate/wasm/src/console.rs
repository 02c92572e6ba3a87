//! What goes to a page's console.

struct Console;

impl log::Log for Console {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Error
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            web_sys::console::error_1(&format!("{}: {}", record.target(), record.args()).into());
        }
    }

    fn flush(&self) {}
}

/// Errors of the GPU stack and panics go to the console; nothing else does.
pub fn install_log() {
    if log::set_logger(&Console).is_ok() {
        log::set_max_level(log::LevelFilter::Error);
    }
    std::panic::set_hook(Box::new(|info| web_sys::console::error_1(&info.to_string().into())));
}
