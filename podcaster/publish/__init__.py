"""Stage `publish`: an episode becomes something podcast apps can play: tags, notes, feed."""
