# Depth and replicas over time: gnuplot -e "data='FILE.csv'; picture='FILE.png'" plot.gp
set terminal pngcairo size 1200,600 font "sans,12"
set output picture
set datafile separator ","
set title "A backlog of a BullMQ queue, drained by workers that the HPA scales on cio\\_queue\\_depth"
set xlabel "seconds"
set ylabel "jobs ready or in flight" textcolor rgb "#5a6fd8"
set y2label "worker pods" textcolor rgb "#d8685a"
set y2range [0:*]
set yrange [0:*]
set y2tics 1
set ytics nomirror
set grid
set key top right
plot data using 1:2 with filledcurves y1=0 fillcolor rgb "#c9d1f5" title "queue depth", \
     data using 1:3 axes x1y2 with steps linewidth 3 linecolor rgb "#d8685a" title "pods"
