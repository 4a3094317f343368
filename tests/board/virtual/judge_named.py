"""What "named" recorded: devices in the words of the configuration, and a doctor's verdict."""
import evidence

SCENARIO = "named"


def test_devices_lists_card_chip_and_uart_as_the_configuration_wants_them(record):
    said = "\n".join(record.lines("devices"))
    for name in ("Mic", "9030000.pl061", "0000:00:01.0"):
        assert name in said, said
    assert evidence.notes(record, "devices") == ["devices 0"], said
    assert said.count("<- auto") == 1, said  # a kernel's card, and the one that auto would take


def test_the_doctor_finds_nothing_and_then_the_missing_microphone(record):
    said = "\n".join(record.lines("doctor"))
    assert evidence.notes(record, "doctor") == ["doctor 0", "doctor 1"], said
    heard = [line for line in record.lines("doctor") if "a second of it: peak" in line]
    assert len(heard) == 1 and "hw:CARD=Mic,DEV=0" in heard[0], said
    assert "Mic" in "\n".join(record.lines("doctor_unplugged")), record.lines("doctor_unplugged")
