"""What "full" recorded: a disk without room for the journal."""
import evidence

SCENARIO = "full"


def test_a_full_disk_is_told_with_its_remedy(record):
    said = [text for _, text in record.log("earshot") if "journal" in text]
    assert said and "/run/disk/journal" in said[0], record.lines("earshot")
    return said[0]


def test_the_transcript_goes_on_without_it(record):
    assert evidence.notes(record, "exit") == ["exit 0"], record.lines("notes")
    assert evidence.objects(record.uart), record.uart
