"""What finds faces in an image: one file per detector, chosen by `detector=`."""
