//! The graphics device of this machine, through Vulkan, Metal or DirectX.

use lectern_engine::{Gpu, Preference};

/// Opens the device unless the CPU is asked for.
#[cfg(feature = "gpu")]
pub fn open(preference: Preference) -> Gpu {
    use burn::tensor::wgpu::wgpu;
    if preference == Preference::Cpu {
        return Gpu::None("it was not asked for".into());
    }
    // Without a driver the library panics where it should refuse; that must not end the command.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let opened = std::panic::catch_unwind(|| burn::tensor::Device::wgpu_options().tasks_max(256).init_with_setup());
    std::panic::set_hook(hook);
    match opened {
        Ok(Ok((device, setup))) => {
            let info = setup.adapter.get_info();
            Gpu::Device { device, name: info.name, software: info.device_type == wgpu::DeviceType::Cpu }
        }
        Ok(Err(error)) => Gpu::None(format!("no graphics device could be opened ({error})")),
        Err(_) => Gpu::None("this machine has no graphics driver".into()),
    }
}

#[cfg(not(feature = "gpu"))]
pub fn open(_: Preference) -> Gpu {
    Gpu::None("this build has no GPU executor".into())
}
