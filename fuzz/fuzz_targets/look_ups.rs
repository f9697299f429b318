#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| opswat_mock_fuzz::look_ups(data));
