"""Stage `mix`: clips become an episode: turn-taking, music, loudness, MP3."""
